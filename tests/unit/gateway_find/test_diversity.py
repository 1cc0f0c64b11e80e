"""Maximal marginal relevance: its laws, and a case by hand."""

from hypothesis import given
from hypothesis import strategies as st

from groundmesh_gateway.finding.diversity import diverse_order

NUMBERS = st.floats(-1.0, 1.0, width=32)
SCORES = st.lists(st.floats(-10.0, 10.0, width=32), max_size=12)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[list[float], list[list[float]]]:
    """Scores that descend, as a ranking's do, and a vector for each."""
    scores = sorted(draw(SCORES), reverse=True)
    vectors = st.lists(NUMBERS, min_size=3, max_size=3)
    return scores, [draw(vectors) for _ in scores]


@given(ranked(), st.floats(0.0, 1.0))
def test_it_is_a_permutation_that_begins_with_the_best(
    case: tuple[list[float], list[list[float]]], weight: float
) -> None:
    scores, vectors = case
    order = diverse_order(scores, vectors, relevance_weight=weight)
    assert sorted(order) == list(range(len(scores)))
    if weight > 0.01 and scores and scores[0] > scores[-1] + 0.01:
        assert scores[order[0]] == max(scores)


@given(ranked())
def test_with_all_weight_on_relevance_the_order_stays(
    case: tuple[list[float], list[list[float]]],
) -> None:
    scores, vectors = case
    order = diverse_order(scores, vectors, relevance_weight=1.0)
    assert order == list(range(len(scores)))


@given(ranked(), st.floats(0.0, 1.0))
def test_lengths_of_vectors_say_nothing(
    case: tuple[list[float], list[list[float]]], weight: float
) -> None:
    scores, vectors = case
    rounded = [[round(number, 2) for number in vector] for vector in vectors]
    longer = [[number * 4 for number in vector] for vector in rounded]
    assert diverse_order(scores, rounded, relevance_weight=weight) == diverse_order(
        scores, longer, relevance_weight=weight
    )


def test_a_copy_of_the_best_goes_behind_what_is_new() -> None:
    vectors = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    scores = [1.0, 0.9, 0.5]
    assert diverse_order(scores, vectors, relevance_weight=0.5) == [0, 2, 1]
    assert diverse_order(scores, vectors, relevance_weight=0.9) == [0, 1, 2]


def test_each_is_held_against_all_before_it() -> None:
    """The third is unlike the second, but a copy of the first."""
    vectors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    order = diverse_order([1.0, 0.9, 0.8, 0.0], vectors, relevance_weight=0.5)
    assert order == [0, 1, 3, 2]
