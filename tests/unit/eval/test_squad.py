"""Exact match and F1 against figures of the official scripts, and their laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundmesh.eval import squad

WORDS = st.lists(st.sampled_from(["the", "a", "King", "of", "1066", "war", "war!"]), max_size=6)
TEXTS = WORDS.map(" ".join)


@pytest.mark.parametrize(
    ("given", "golds", "exact", "f1"),
    [
        ("The Normans", ["Normans", "the Norman people"], 1.0, 1.0),
        ("in France", ["France"], 0.0, 2 / 3),
        ("France.", ["france"], 1.0, 1.0),
        ("10th and 11th centuries", ["in the 10th and 11th centuries"], 0.0, 8 / 9),
        ("war war", ["war"], 0.0, 2 / 3),
        ("", ["France"], 0.0, 0.0),
        ("", [], 1.0, 1.0),
        ("France", [], 0.0, 0.0),
        ("", ["the"], 1.0, 1.0),  # a gold of nothing but an article is none
        ("a b", ["the", "b"], 1.0, 1.0),
    ],
)
def test_known_figures(given: str, golds: list[str], exact: float, f1: float) -> None:
    assert squad.exact(given, golds) == exact
    assert squad.f1(given, golds) == pytest.approx(f1)


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_f1_lies_between_exact_and_one(text: str, golds: list[str]) -> None:
    assert squad.exact(text, golds) <= squad.f1(text, golds) <= 1.0


@given(TEXTS, TEXTS)
def test_f1_is_the_same_both_ways(one: str, other: str) -> None:
    if squad.normalized(one) and squad.normalized(other):
        assert squad.f1(one, [other]) == pytest.approx(squad.f1(other, [one]))


@given(TEXTS)
def test_normalizing_twice_is_once(text: str) -> None:
    assert squad.normalized(squad.normalized(text)) == squad.normalized(text)


def test_citations_are_no_words_of_an_answer() -> None:
    answer = "[2] It was ##begin_quote##in France##end_quote## [1, 3]."
    assert squad.prediction(answer) == "It was in France."


def test_a_gold_stands_in_an_answer_as_whole_words() -> None:
    assert squad.contains("It was the year 1066.", ["in 1066", "1066"]) == 1.0
    assert squad.contains("It was 10667.", ["1066"]) == 0.0
    assert squad.contains("Anything", []) == 0.0
