"""Which sentence of the passages is taken for the source of one of the answer, and its score."""

import pytest

from groundmesh_gateway.grounding import SentPassage
from groundmesh_gateway.grounding.alignment import Aligner, source_sentences, stems

TEXT = "Zur Fähre. It leaves from pier 4.  It costs 12 crowns.\n\n* * *\n\nDogs travel free"
PASSAGES = [SentPassage(1, TEXT, 0, 0), SentPassage(2, "A red ferry.", 0, 0)]


def test_sources_are_the_sentences_of_the_passages() -> None:
    sources = source_sentences(PASSAGES)
    assert [(each.passage.number, each.text) for each in sources] == [
        (1, "Zur Fähre."),
        (1, "It leaves from pier 4."),
        (1, "It costs 12 crowns."),
        (1, "Dogs travel free"),
        (2, "A red ferry."),
    ]


def aligner() -> Aligner:
    return Aligner(list(source_sentences(PASSAGES)), [[1, 0], [0, 2], [0, 2], [0, 0], [3, 0]])


@pytest.mark.parametrize(
    ("said", "vector", "source"),
    [
        ("The ferry costs 12 crowns.", [0, 1], "It costs 12 crowns."),
        ("It is leaving from pier 4.", [0, 1], "It leaves from pier 4."),
        ("All dogs traveled free", [0, 0], "Dogs travel free"),
        ("Nothing of it", [1, 0], "Zur Fähre."),  # of equals the first
    ],
)
def test_nearness_and_words_decide(said: str, vector: list[float], source: str) -> None:
    best = aligner().best(said, vector)
    assert best is not None
    assert best.source.text == source
    assert 0 <= best.score <= 1


def test_what_is_copied_scores_1_and_what_is_of_elsewhere_0() -> None:
    same, other = aligner().best("It costs 12 crowns.", [0, 5]), aligner().best("!?", [0, 1])
    assert same is not None
    assert same.score == pytest.approx(1)
    assert other is None
    nothing = aligner().best("Quite unknown", [0, -1])
    assert nothing is not None
    assert nothing.score == 0


def test_a_common_word_alone_is_no_agreement() -> None:
    common, rare = aligner().best("It", [0, 0]), aligner().best("Dogs", [0, 0])
    assert common is not None
    assert rare is not None
    assert common.score < rare.score == pytest.approx(0.5)


def test_a_number_that_is_nowhere_lowers_the_score() -> None:
    right, wrong = (aligner().best(f"It costs {n} crowns.", [0, 1]) for n in (12, 14))
    assert right is not None
    assert wrong is not None
    assert wrong.score < 0.85 < right.score


def test_words_are_compared_without_endings_and_in_any_script() -> None:
    assert stems("Leaving leaves, LEAVES 123456") == {"leavi", "leave", "123456"}
    assert stems("四号码头") == set("四号码头")
