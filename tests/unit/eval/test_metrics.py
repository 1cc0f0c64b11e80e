"""Measures against values worked out by hand, and what holds of intervals."""

from math import log2
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.client import Chunk, Passage, Place
from groundmesh.errors import InvalidArgument
from groundmesh.eval import plot
from groundmesh.eval.beir import load, uri_of
from groundmesh.eval.metrics import MEASURES, bootstrap, measured, per_query
from groundmesh.eval.report import mode_report
from groundmesh.eval.searching import Searched, by_best_chunk
from tests.beir_folder import beir_folder

JUDGEMENTS = {"q": {"best": 3, "good": 1, "bad": 0, "unfound": 2}}


def passage(document: str, score: float) -> Passage:
    chunk = Chunk("c", "d", 0, "text", 0, 4, Place(), 1)
    return Passage(chunk, uri_of(document), "", score, None, None)


def of_one(ranking: list[str]) -> dict[str, float]:
    [row] = per_query(JUDGEMENTS, {"q": ranking})
    return dict(zip(MEASURES, row, strict=True))


def test_graded_judgements_weigh_by_their_grade() -> None:
    found = of_one(["bad", "good", "unjudged", "best"])
    gained = 1 / log2(3) + 3 / log2(5)
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert found["ndcg@10"] == pytest.approx(gained / ideal)
    assert found["recall@10"] == found["recall@100"] == pytest.approx(2 / 3)
    assert found["mrr@10"] == pytest.approx(1 / 2)


def test_what_is_below_the_tenth_place_counts_for_recall_at_100_only() -> None:
    found = of_one([*(f"other{n}" for n in range(10)), "best"])
    assert found == {"ndcg@10": 0, "recall@10": 0, "recall@100": pytest.approx(1 / 3), "mrr@10": 0}


def test_the_order_stands_whatever_the_names() -> None:
    for names in (["a", "best"], ["z", "best"]):
        assert of_one(names)["mrr@10"] == 1 / 2


def test_a_query_without_a_ranking_has_found_nothing() -> None:
    values = per_query({"p": {"x": 1}, "q": {"x": 1}}, {"q": ["x"]})
    assert values.tolist() == [[0, 0, 0, 0], [1, 1, 1, 1]]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.floats(0, 1)), max_size=20))
@settings(deadline=None)
def test_a_document_stands_where_its_best_chunk_stands(hits: list[tuple[str, float]]) -> None:
    hits.sort(key=lambda hit: -hit[1])
    best: dict[str, float] = {}
    for document, score in hits:
        best[document] = max(best.get(document, 0), score)
    ranking = by_best_chunk(passage(*hit) for hit in hits)
    assert sorted(ranking) == sorted(best)
    assert [best[document] for document in ranking] == sorted(best.values(), reverse=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
@settings(max_examples=5, deadline=None)  # each draws thousands of samples
def test_an_interval_lies_within_the_values_and_is_always_the_same(values: list[float]) -> None:
    column = np.array(values)[:, None]
    low, high = bootstrap(column)
    assert min(values) - 1e-9 <= low[0] <= high[0] <= max(values) + 1e-9
    assert bootstrap(column) == (low, high)


def test_an_interval_is_that_of_the_mean() -> None:
    # 400 coins: the mean's standard error is 0.5 / sqrt(400) = 0.025.
    low, high = bootstrap(np.array([0.0, 1.0] * 200)[:, None])
    assert low[0] == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert high[0] == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)


def test_a_report_as_json(tmp_path: Path) -> None:
    dataset = load(beir_folder(tmp_path))
    searched = Searched({"q1": ["apples"], "q2": ["x", "pears"]}, [1.0, 3.0], {"no reranker"})
    assert mode_report("dense", dataset, searched).as_json() == {
        "mode": "dense",
        "ndcg@10": round((1 + 1 / log2(3) / (1 + 1 / log2(3))) / 2, 4),
        "recall@10": 0.75,
        "recall@100": 0.75,
        "mrr@10": 0.75,
        "p50_ms": 2.0,
        "p99_ms": 2.98,
        "ci95": {
            "ndcg@10": [0.3869, 1.0],
            "recall@10": [0.5, 1.0],
            "recall@100": [0.5, 1.0],
            "mrr@10": [0.5, 1.0],
        },
        "queries": 2,
        "degraded": ["no reranker"],
    }


def test_a_mean_is_within_its_interval() -> None:
    judgements = {str(n): {"x": 1} for n in range(30)}
    found = measured(judgements, {str(n): ["x"] for n in range(0, 30, 3)})["recall@10"]
    assert found.mean == pytest.approx(1 / 3)
    assert found.low < found.mean < found.high


@pytest.mark.parametrize("end", plot.FORMATS)
def test_a_report_is_drawn(tmp_path: Path, end: str) -> None:
    dataset = load(beir_folder(tmp_path))
    reports = [mode_report(name, dataset, Searched({}, [1.0])) for name in ("dense", "hybrid")]
    path = tmp_path / f"plot{end}"
    plot.check_name(path)
    plot.draw(path, "fruit", reports)
    assert path.stat().st_size > 1_000


@pytest.mark.parametrize("name", ["plot", "plot.exe", "nowhere/plot.png"])
def test_a_plot_that_could_not_be_written_is_refused_before_the_work(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(InvalidArgument):
        plot.check_name(tmp_path / name)
