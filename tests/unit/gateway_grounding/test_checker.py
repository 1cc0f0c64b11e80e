"""What is a citation, where it points, and that the stream's pieces make no difference."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundmesh.quotes import BEGIN_QUOTE, END_QUOTE
from groundmesh_gateway.grounding import Citation, SentPassage, TextDelta
from groundmesh_gateway.grounding.checker import MAX_HELD_BYTES, CitationChecker

PASSAGES = [
    SentPassage(number, f"passage {number} é", start_byte=100 * number, end_byte=100 * number + 12)
    for number in (1, 2, 3, 10)
]


def checked(*pieces: str) -> tuple[str, list[Citation], int]:
    checker = CitationChecker(PASSAGES)
    events = [event for piece in pieces for event in checker.feed(piece)] + checker.finish()
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return text, [event for event in events if isinstance(event, Citation)], checker.removed


def claims(*pieces: str) -> list[tuple[int, str]]:
    text, citations, _ = checked(*pieces)
    encoded = text.encode()
    return [
        (each.passage.number, encoded[each.answer_start_byte : each.answer_end_byte].decode())
        for each in citations
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("A ferry leaves [1].", [(1, "A ferry leaves")]),
        ("A leaves [1]. It costs 12 [2].", [(1, "A leaves"), (2, "It costs 12")]),
        ("A costs 3.14 kr. [1] B is free. [2]", [(1, "A costs 3.14 kr."), (2, "B is free.")]),
        ("A leaves.[1] B costs 12.[2]", [(1, "A leaves."), (2, "B costs 12.")]),
        ("Both hold [1, 2].", [(1, "Both hold"), (2, "Both hold")]),
        ("Both hold [1][2].", [(1, "Both hold"), (2, "Both hold")]),
        ("Both hold [1,10].", [(1, "Both hold"), (10, "Both hold")]),
        ("Twice [1][1, 1].", [(1, "Twice")]),
        ("One [1] and two [2].", [(1, "One"), (2, "One [1] and two")]),
        ("Äpfel 🍏 sind sauer [1]. Ja, süß [2].", [(1, "Äpfel 🍏 sind sauer"), (2, "Ja, süß")]),
        ("说明文字。第二句[2]。", [(2, "第二句")]),
        ("It is e.g. small, i.e. tiny [3].", [(3, "It is e.g. small, i.e. tiny")]),
        ("A paragraph\n\nAnother [1].", [(1, "Another")]),
        ("- one [1]\n- two [2]", [(1, "one"), (2, "two")]),
        ("Above.\n\n[1]", [(1, "Above.")]),
    ],
)
def test_a_marker_stands_for_its_sentence(answer: str, expected: list[tuple[int, str]]) -> None:
    assert claims(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("[2] A costs 12 crowns.", [(2, "A costs 12 crowns.")]),
        ("[2] A costs 12. It is 3 km long.", [(2, "A costs 12.")]),
        (
            "[2] A costs 3.14 kr. [1] It leaves at 7.",
            [(2, "A costs 3.14 kr."), (1, "It leaves at 7.")],
        ),
        ("[1][2] Both hold.", [(1, "Both hold."), (2, "Both hold.")]),
        ("[1] First\n[2] Second", [(1, "First"), (2, "Second")]),
        ("- [1] first is so\n- [3] second\n", [(1, "first is so"), (3, "second")]),
        ("1. [1] first\n2. [2] second", [(1, "first"), (2, "second")]),
        ("[3] A sentence\nthat is wrapped. More", [(3, "A sentence\nthat is wrapped.")]),
        ("[1] A holds [2].", [(1, "A holds"), (2, "A holds")]),
    ],
)
def test_a_leading_marker_stands_for_the_sentence_after_it(
    answer: str, expected: list[tuple[int, str]]
) -> None:
    assert claims(answer) == expected


@pytest.mark.parametrize(
    ("answer", "text", "removed"),
    [
        ("No such passage [4].", "No such passage.", 1),
        ("One of two [1, 4].", "One of two [1].", 1),
        ("Neither [4,5] nor[0] this.", "Neither nor[0] this.", 2),
        ("[7] At the beginning.", " At the beginning.", 1),
        ("Side by side [1][9][2]", "Side by side [1][2]", 1),
        ("The year [2024] is one", "The year is one", 1),
        ("An index a[0], f(x)[7] or m[0][5] stays.", "An index a[0], f(x)[7] or m[0][5] stays.", 0),
        ("`x = [9]` and ``[8] ` [8]`` stay [9]", "`x = [9]` and ``[8] ` [8]`` stay", 1),
        ("```\n[9]\n`[9]`\n```\n[9]", "```\n[9]\n`[9]`\n```\n", 1),
        ("A tick ` that is not closed\n[9]", "A tick ` that is not closed\n", 1),
        ("[12345] [a] [] [1;2] [ 9] [-1]", "[12345] [a] [] [1;2] [ 9] [-1]", 0),
        ("[8 [9]] and [1 [9], 7]", "[8 ] and [1 , 7]", 2),  # none is made of what is left
    ],
)
def test_what_names_no_passage_is_removed(answer: str, text: str, removed: int) -> None:
    assert (checked(answer)[0], checked(answer)[2]) == (text, removed)


def test_a_citation_says_where_the_passage_stands() -> None:
    (citation,) = checked("So it is [10].")[1]
    assert citation.passage == PASSAGES[-1]


def test_a_citation_never_comes_before_what_it_is_about() -> None:
    checker = CitationChecker(PASSAGES)
    sent = 0
    for character in "Ä leaves [1]. [2] B.\n[3] C is so. D":
        for event in checker.feed(character):
            if isinstance(event, TextDelta):
                sent += len(event.text.encode())
            else:
                assert event.answer_end_byte <= sent


FRAGMENTS = ["[", "]", "[1]", "[2, 3]", " [9]", "[1, 9]", ", ", " ", "\n", "\n\n", ". ", "."]
FRAGMENTS += [
    "e.g. ",
    "#",
    "`",
    "```",
    "- ",
    "1. ",
    "a",
    "Word",
    "é",
    "🍏",
    "。",
    "(",
    ")",
    "7",
    "][",
]
FRAGMENTS += [BEGIN_QUOTE, END_QUOTE, " " + BEGIN_QUOTE, "##beg", "in_quote##", "passage 1 é"]
answers = st.lists(
    st.sampled_from(FRAGMENTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    max_size=30,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(answers, st.data())
def test_pieces_make_no_difference(answer: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(answer)), max_size=12)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert checked(*pieces) == checked(answer) == checked(*answer)


@settings(max_examples=300, deadline=None)
@given(answers)
def test_little_is_held_back_and_nothing_but_a_possible_marker(answer: str) -> None:
    checker = CitationChecker(PASSAGES)
    fed = ""
    sent = ""
    for character in answer:
        fed += character
        sent += "".join(e.text for e in checker.feed(character) if isinstance(e, TextDelta))
        held = checker._held
        assert fed.endswith(held)
        assert len(held.encode()) <= MAX_HELD_BYTES
        assert not held or held == " " or held.removeprefix(" ")[0] in "[#"
        if not checker.removed and "," not in fed and "quote##" not in fed:
            assert sent + held == fed


@settings(max_examples=300, deadline=None)
@given(answers)
def test_offsets_are_right(answer: str) -> None:
    text, citations, _ = checked(*answer)
    encoded = text.encode()
    for citation in citations:
        assert 0 <= citation.answer_start_byte < citation.answer_end_byte <= len(encoded)
        claim = encoded[citation.answer_start_byte : citation.answer_end_byte].decode()
        assert claim == claim.strip()


@settings(max_examples=300, deadline=None)
@given(answers)
@example("] ##begin_quote##[1, 9]")
@example("[1##end_quote##[9]")
def test_what_was_sent_has_nothing_to_be_taken_out(answer: str) -> None:
    once = checked(answer)[0]
    assert checked(once)[::2] == (once, 0)
    assert not any(tag in once for tag in (BEGIN_QUOTE, END_QUOTE))


@pytest.mark.parametrize("line", ["", "- ", "12. "])
def test_markers_are_placed_in_linear_time(line: str) -> None:
    """With backtracking this would take minutes."""
    answer = f"A leaves.\n{line}{' ' * 100_000}So it is [1]."
    assert claims(answer) == [(1, "So it is")]


def test_a_long_sentence_in_small_pieces_takes_a_linear_time() -> None:
    """If all of it were read again for each piece, this would take minutes."""
    said = ["word, "] * 10_000
    assert claims("[1] ", *said) == [(1, "".join(said).strip())]


def test_a_sentence_is_over_as_soon_as_more_follows() -> None:
    checker = CitationChecker(PASSAGES)
    for piece in ("[1] ", *(["word, "] * 100), "word.", *([" "] * 50)):
        assert not [event for event in checker.feed(piece) if isinstance(event, Citation)]
    assert [event for event in checker.feed("So") if isinstance(event, Citation)]
