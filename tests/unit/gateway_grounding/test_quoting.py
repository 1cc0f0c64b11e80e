"""Quotes: which are citations, what is left of them in the answer, and that they are true."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.quotes import BEGIN_QUOTE as B
from groundmesh.quotes import END_QUOTE as E
from groundmesh.quotes import normalised
from groundmesh_gateway.grounding import Citation, CitationKind, SentPassage, TextDelta
from groundmesh_gateway.grounding.checker import MAX_HELD_BYTES, CitationChecker

DOCUMENT = (
    "Zur Fähre: The ferry to Ormsay leaves from pier 4 at 7:40.\nIt costs 12 crowns – “each way”. "
    "See [3] for more. 轮渡七点从四号码头开出。 The eﬃcient ferry is red."
)


def passage(number: int, begin: str, end: str = "") -> SentPassage:
    start = DOCUMENT.index(begin)
    text = DOCUMENT[start : DOCUMENT.index(end) if end else len(DOCUMENT)]
    start_byte = len(DOCUMENT[:start].encode())
    return SentPassage(number, text, start_byte, start_byte + len(text.encode()), "d")


PASSAGES = [passage(1, "The ferry", "See [3]"), passage(2, "It costs")]


def checked(*pieces: str) -> tuple[str, list[Citation], int]:
    checker = CitationChecker(PASSAGES)
    events = [event for piece in pieces for event in checker.feed(piece)] + checker.finish()
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    quotes = [each for each in events if isinstance(each, Citation)]
    return text, [each for each in quotes if each.kind is CitationKind.VERBATIM], checker.removed


@pytest.mark.parametrize(
    ("answer", "text", "quotes"),
    [
        (f"It is so: {B}leaves from pier 4{E}.", "It is so: leaves from pier 4.", [1]),
        (f"So: {B} leaves from pier 4 {E}.", "So: leaves from pier 4.", [1]),
        (f"So {B}leaves from{E} {B}pier 4 at 7:40{E}", "So leaves from pier 4 at 7:40", [1, 1]),
        (f'{B}\nIt costs 12\ncrowns - "each way".\n{E}', None, [1]),
        (f'So {B}"leaves from pier 4" {E}"', 'So "leaves from pier 4""', [1]),
        (f"{B}leaves from pier 4.{E}", "leaves from pier 4.", [1]),  # the full stop is the answer's
        (f"“{B}The ferry to Ormsay [1]{E}”", "“The ferry to Ormsay [1]”", [1]),
        (f"{B}See [ 3] for more{E}", "See [ 3] for more", [2]),
        (f"{B}The efficient ferry{E}", "The efficient ferry", [2]),
        (f"{B}轮渡七点从{E}", "轮渡七点从", [2]),
        (f"{B}pier 4{E}", "pier 4", [1]),  # short, but in one place
        (f"{B}12 crowns{E}", "12 crowns", [1]),  # both passages have that place
        (f"Twice {B}It costs 12{E} {B}It costs 12{E}", "Twice It costs 12 It costs 12", [1, 1]),
    ],
)
def test_what_stands_in_a_passage_is_a_citation(
    answer: str, text: str | None, quotes: list[int]
) -> None:
    said, citations, removed = checked(answer)
    assert text is None or said == text
    assert ([each.passage.number for each in citations], removed) == (quotes, 0)
    assert_true(said, citations)


@pytest.mark.parametrize(
    ("answer", "text", "removed"),
    [
        (f"{B}leaves from pier 5{E}.", "leaves from pier 5.", 1),
        (f"{B}the ferry to Ormsay{E}", "the ferry to Ormsay", 1),
        (f"{B}ferry{E}", "ferry", 1),  # in two places, and which is meant?
        (f"{B}Zur Fähre{E}", "Zur Fähre", 1),  # in the document, not in what was sent
        (f"a{B}{E}b {B} . {E}", "a b .", 2),
        (f"{B}leaves from pier 4", "leaves from pier 4", 1),
        (f"leaves {E}from{E} pier", "leaves from pier", 0),
        (f"{B}leaves {B}from pier 9{E} 4{E}", "leaves from pier 9 4", 2),
        (f"##begin{B}_quote## ##end_quote# {E}", "##begin _quote## ##end_quote#", 1),
        (f"[{B}1] or [1{E}]", "[ 1] or [1 ]", 1),
    ],
)
def test_what_is_no_citation(answer: str, text: str, removed: int) -> None:
    said, citations, failed = checked(answer)
    assert (said, citations, failed) == (text, [], removed)


def test_a_nested_quote_may_be_true() -> None:
    said, (citation,), removed = checked(f"{B}so {B}leaves from pier{E} 4{E}")
    assert (said, citation.quote, removed) == ("so leaves from pier 4", "leaves from pier", 1)


def test_the_text_of_a_quote_is_not_held_back() -> None:
    checker = CitationChecker(PASSAGES)
    checker.feed(f"So {B}leaves ")
    (delta,) = checker.feed("from")
    assert delta == TextDelta(" from")


def test_the_source_is_quoted_as_it_is() -> None:
    _, (citation,), _ = checked(f'{B}- "each way"{E}')
    assert citation.quote == "– “each way”"


FRAGMENTS = [B, E, f" {B} ", f" {E}", "##", "_quote##", "[1]", " [9]", " ", "\n", "`", "x"]
FRAGMENTS += ["leaves from pier 4", "It costs 12 crowns", "–", " “each way”"]
FRAGMENTS += ["轮渡七点从", "é", "[ 3]"]
answers = st.lists(
    st.sampled_from(FRAGMENTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    max_size=25,
).map("".join)


@settings(max_examples=120, deadline=None)
@given(answers, st.data())
def test_every_citation_is_true_in_whatever_pieces_it_comes(
    answer: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(answer)), max_size=8)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert checked(*pieces) == checked(answer) == checked(*answer)
    said, citations, _ = checked(answer)
    assert_true(said, citations)


@settings(max_examples=100, deadline=None)
@given(answers)
def test_little_is_held_back(answer: str) -> None:
    checker = CitationChecker(PASSAGES)
    for character in answer:
        checker.feed(character)
        assert len(checker._held.encode()) <= MAX_HELD_BYTES


def assert_true(said: str, citations: list[Citation]) -> None:
    """What anyone can check who has the answer and the document's text."""
    answer, source = said.encode(), DOCUMENT.encode()
    for each in citations:
        part = source[each.start_byte : each.end_byte].decode()
        assert part == each.quote
        claimed = answer[each.answer_start_byte : each.answer_end_byte].decode()
        assert normalised(part) == normalised(claimed) != ""
        assert each.passage.start_byte <= each.start_byte < each.end_byte <= each.passage.end_byte
