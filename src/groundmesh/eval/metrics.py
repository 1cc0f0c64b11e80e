"""Measures of rankings, by trec_eval through ``ir_measures``, with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from numpy.typing import NDArray

from groundmesh.eval.beir import Judgements

MEASURES = {"ndcg@10": "nDCG@10", "recall@10": "R@10", "recall@100": "R@100", "mrr@10": "RR@10"}
"""What we call a measure -> what ``ir_measures`` calls it."""

_RESAMPLES = 2_000
_SEED = 20_090_719
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Measured:
    """The mean of a measure over all queries, and its 95 % interval."""

    mean: float
    low: float
    high: float


def measured(judgements: Judgements, rankings: Mapping[str, Sequence[str]]) -> dict[str, Measured]:
    """Each of ``MEASURES`` over all judged queries; one without a ranking has found nothing."""
    values = per_query(judgements, rankings)
    means, lows, highs = values.mean(axis=0), *bootstrap(values)
    return {
        name: Measured(float(means[column]), float(lows[column]), float(highs[column]))
        for column, name in enumerate(MEASURES)
    }


def mean_of(values: Sequence[float]) -> Measured:
    """The mean of some values, at least one, and its interval."""
    column = np.asarray(values, dtype=np.float64)[:, np.newaxis]
    low, high = bootstrap(column)
    return Measured(float(column.mean()), float(low[0]), float(high[0]))


def per_query(judgements: Judgements, rankings: Mapping[str, Sequence[str]]) -> NDArray[np.float64]:
    """A row for each judged query, a column for each of ``MEASURES``."""
    measures = [ir_measures.parse_measure(name) for name in MEASURES.values()]
    columns = {measure: column for column, measure in enumerate(measures)}
    rows = {query: row for row, query in enumerate(judgements)}
    values = np.zeros((len(rows), len(columns)))
    # trec_eval orders by score and, where two are equal, by the document's name. Our order stands:
    # every rank gets a score of its own.
    run = {
        query: {document: float(-rank) for rank, document in enumerate(ranking)}
        for query, ranking in rankings.items()
    }
    for found in ir_measures.iter_calc(measures, judgements, run):
        values[rows[found.query_id], columns[found.measure]] = found.value
    return values


def bootstrap(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 95 % percentile interval of the mean of each column: rows are drawn with replacement.

    The draws are the same in each call, so two modes over the same queries meet the same samples.
    """
    random = np.random.default_rng(_SEED)
    count = len(values)
    means = np.stack(
        [values[random.integers(count, size=count)].mean(axis=0) for _ in range(_RESAMPLES)]
    )
    low, high = np.percentile(means, _PERCENTILES, axis=0)
    return low, high
