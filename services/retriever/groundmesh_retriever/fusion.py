"""Fusion: several rankings of the same chunks into one. A larger score is always better."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

RRF_K = 60
"""The constant of Cormack, Clarke and Büttcher (SIGIR 2009), never tuned since."""


@dataclass(frozen=True)
class ByRanks:
    """Reciprocal rank fusion: by ranks alone, whatever the scores are."""

    constant: int = RRF_K


@dataclass(frozen=True)
class ByScores:
    """The weighted sum of both scores, each scaled to 0..1 over what its ranking found."""

    dense_weight: float


Fusion: TypeAlias = ByRanks | ByScores

EVEN = ByScores(0.5)
"""The default. Scores say more than ranks: a ranking that is sure of its best counts for more than
one whose hits are all alike (Bruch, Gai and Ingber, TOIS 2023; measured here, too: ADR 16)."""

Scores: TypeAlias = Mapping[str, float]
"""Keys with their scores, best first."""


def fuse(dense: Scores, sparse: Scores, fusion: Fusion) -> dict[str, float]:
    """Every key of the two rankings with its fused score."""
    match fusion:
        case ByRanks(constant):
            return by_ranks([list(dense), list(sparse)], constant=constant)
        case ByScores(weight):
            return by_scores([(dense, weight), (sparse, 1 - weight)])


def by_ranks(rankings: Iterable[Sequence[str]], *, constant: int = RRF_K) -> dict[str, float]:
    """Keys with their sums of ``1 / (constant + rank)`` over all rankings; ranks begin at 1."""
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (constant + rank)
    return dict(scores)


def by_scores(rankings: Iterable[tuple[Scores, float]]) -> dict[str, float]:
    """Keys with their weighted sums of scaled scores; who is not in a ranking has 0 of it."""
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking, weight in rankings:
        for key, score in _scaled(ranking).items():
            scores[key] += weight * score
    return dict(scores)


def _scaled(ranking: Scores) -> dict[str, float]:
    """The best is 1, the worst is 0; where all are alike, all are best."""
    if not ranking:
        return {}
    least, most = min(ranking.values()), max(ranking.values())
    if most == least:
        return dict.fromkeys(ranking, 1.0)
    return {key: (score - least) / (most - least) for key, score in ranking.items()}
