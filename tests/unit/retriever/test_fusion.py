"""Reciprocal rank fusion."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh_retriever.fusion import RRF_K, fuse

RANKINGS = st.lists(st.lists(st.text(max_size=3), unique=True), max_size=4)


def test_scores_are_sums_of_reciprocal_ranks() -> None:
    scores = fuse([["a", "b"], ["b", "c"]])
    assert scores == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62})


@settings(deadline=None)
@given(RANKINGS)
def test_only_ranks_count_and_all_are_there(rankings: list[list[str]]) -> None:
    scores = fuse(rankings)
    assert set(scores) == {key for ranking in rankings for key in ranking}
    assert all(0 < score <= len(rankings) / (RRF_K + 1) for score in scores.values())


@settings(deadline=None)
@given(st.lists(st.text(), unique=True, min_size=2))
def test_fusing_with_itself_keeps_the_order(ranking: list[str]) -> None:
    scores = fuse([ranking, ranking])
    assert sorted(scores, key=lambda key: -scores[key]) == ranking
