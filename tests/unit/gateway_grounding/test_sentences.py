"""Sentences of an answer: the same in whatever pieces it comes, and as the whole text has them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.sentences import sentence_ends
from groundmesh_gateway.grounding.answer_sentences import AnswerSentences, Sentence
from groundmesh_gateway.grounding.claims import what_is_stated


def in_pieces(*pieces: str) -> list[Sentence]:
    sentences = AnswerSentences()
    return [each for piece in pieces for each in sentences.add_text(piece)] + sentences.finish()


def test_a_sentence_is_given_out_once_it_is_sure_to_be_over() -> None:
    sentences = AnswerSentences()
    assert not sentences.add_text("It costs 3.")
    assert not sentences.add_text("14 kr. ")
    assert not sentences.add_text("[1] ")
    assert sentences.add_text("It") == [Sentence("It costs 3.14 kr.", 0, 17)]
    assert sentences.finish() == [Sentence("It", 22, 24)]


def test_bullets_and_markers_are_no_part_of_what_is_said() -> None:
    said = [each.text for each in in_pieces("- [1] Ä ist so.\n- B [2]\n\n[3]\n\n1. C.")]
    assert said == ["Ä ist so.", "B", "C."]


FRAGMENTS = [
    "A",
    "b",
    " ",
    "\n",
    "\n\n",
    ".",
    ". ",
    "!",
    "…",
    "。",
    "”",
    ")",
    "[1]",
    " [2, 3]",
    "[",
]
FRAGMENTS += ["1.", "12) ", "- ", "e.g. ", "é", "🍏", "*", "3.14", ". B", "\r\n"]
answers = st.lists(
    st.sampled_from(FRAGMENTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    max_size=25,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(answers, st.data())
def test_pieces_make_no_difference(answer: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(answer)), max_size=8)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert in_pieces(*pieces) == in_pieces(answer) == in_pieces(*answer) == of_whole(answer)
    for sentence in in_pieces(answer):
        part = answer.encode()[sentence.start_byte : sentence.end_byte]
        assert part.decode() == sentence.text


def of_whole(answer: str) -> list[Sentence]:
    found, start = [], 0
    for end in [*sentence_ends(answer), len(answer)]:
        if stated := what_is_stated(answer[start:end]):
            text = answer[start:end][slice(*stated)]
            first = len(answer[: start + stated[0]].encode())
            found.append(Sentence(text, first, first + len(text.encode())))
        start = end
    return found
