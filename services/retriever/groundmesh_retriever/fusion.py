"""Reciprocal rank fusion: several rankings into one, by ranks alone."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

RRF_K = 60
"""The constant of Cormack, Clarke and Büttcher (SIGIR 2009), never tuned since."""


def fuse(rankings: Iterable[Sequence[str]]) -> dict[str, float]:
    """Keys with their sums of ``1 / (RRF_K + rank)`` over all rankings; ranks begin at 1."""
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (RRF_K + rank)
    return dict(scores)
