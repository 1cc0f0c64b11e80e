"""Fusion of rankings: by ranks, and by weighted scores."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh_retriever.fusion import RRF_K, ByRanks, ByScores, by_ranks, fuse

RANKINGS = st.lists(st.lists(st.text(max_size=3), unique=True), max_size=4)
SCORES = st.dictionaries(st.text(max_size=2), st.floats(-1e6, 1e6), max_size=6)
WEIGHTS = st.floats(0, 1)


def test_scores_are_sums_of_reciprocal_ranks() -> None:
    scores = by_ranks([["a", "b"], ["b", "c"]])
    assert scores == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62})


def test_the_constant_says_how_little_the_first_ranks_stand_out() -> None:
    scores = fuse({"a": 0.9, "b": 0.1}, {"b": 7.0}, ByRanks(1))
    assert scores == pytest.approx({"a": 1 / 2, "b": 1 / 3 + 1 / 2})


@settings(deadline=None)
@given(RANKINGS)
def test_only_ranks_count_and_all_are_there(rankings: list[list[str]]) -> None:
    scores = by_ranks(rankings)
    assert set(scores) == {key for ranking in rankings for key in ranking}
    assert all(0 < score <= len(rankings) / (RRF_K + 1) for score in scores.values())


@settings(deadline=None)
@given(st.lists(st.text(), unique=True, min_size=2))
def test_fusing_with_itself_keeps_the_order(ranking: list[str]) -> None:
    scores = by_ranks([ranking, ranking])
    assert sorted(scores, key=lambda key: -scores[key]) == ranking


def test_weighted_scores_are_scaled_over_what_each_ranking_found() -> None:
    dense, sparse = {"a": 0.9, "b": 0.7, "c": 0.5}, {"c": 30.0, "d": 10.0}
    scores = fuse(dense, sparse, ByScores(0.75))
    assert scores == pytest.approx({"a": 0.75, "b": 0.375, "c": 0.25, "d": 0.0})


@settings(deadline=None)
@given(SCORES, SCORES, WEIGHTS)
def test_weighted_scores_lie_between_0_and_1_and_all_are_there(
    dense: dict[str, float], sparse: dict[str, float], weight: float
) -> None:
    scores = fuse(dense, sparse, ByScores(weight))
    assert set(scores) == set(dense) | set(sparse)
    assert all(0 <= score <= 1 + 1e-9 for score in scores.values())


@settings(deadline=None)
@given(SCORES, SCORES)
def test_all_weight_on_one_side_is_that_side_s_order(
    dense: dict[str, float], sparse: dict[str, float]
) -> None:
    for weight, side in ((1.0, dense), (0.0, sparse)):
        scores = fuse(dense, sparse, ByScores(weight))
        order = sorted(side, key=lambda key: -side[key])
        fused = [scores[key] for key in order]
        assert fused == sorted(fused, reverse=True)


@settings(deadline=None)
@given(SCORES, WEIGHTS, st.floats(0.1, 10), st.floats(-10, 10))
def test_scale_and_offset_of_a_store_s_scores_don_t_count(
    sparse: dict[str, float], weight: float, factor: float, offset: float
) -> None:
    rounded = {key: float(round(score)) for key, score in sparse.items()}
    moved = {key: score * factor + offset for key, score in rounded.items()}
    fused, again = (fuse({"a": 0.5}, each, ByScores(weight)) for each in (rounded, moved))
    assert fused == pytest.approx(again, abs=1e-5)
