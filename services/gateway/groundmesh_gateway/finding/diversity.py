"""Passages that differ from those before them (Carbonell and Goldstein, SIGIR 1998)."""

import math
from collections.abc import Sequence
from operator import mul

from groundmesh_gateway.finding.model import Vector


def diverse_order(
    relevance: Sequence[float], vectors: Sequence[Vector], *, relevance_weight: float
) -> list[int]:
    """The order by maximal marginal relevance, as indices.

    Each next one has the largest ``weight * relevance - (1 - weight) * s``, where ``s`` is its
    cosine to the nearest of those before it and relevance is scaled to 0 to 1, so that the two can
    be weighed against each other. Equals stay in their order.

    In plain Python: a vector library would be the gateway's heaviest dependency, for 10 ms a call.
    """
    scaled = _scaled(relevance)
    units = [_unit(vector) for vector in vectors]
    nearest = [0.0] * len(units)
    left, order = list(range(len(units))), list[int]()
    while left:
        gain = {
            index: relevance_weight * scaled[index] - (1 - relevance_weight) * nearest[index]
            for index in left
        }
        best = max(left, key=gain.__getitem__)
        left.remove(best)
        for index in left:
            nearness = sum(map(mul, units[best], units[index]))
            nearest[index] = max(nearest[index], nearness) if order else nearness
        order.append(best)
    return order


def _scaled(scores: Sequence[float]) -> list[float]:
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    spread = (high - low) or 1.0
    return [(score - low) / spread for score in scores]


def _unit(vector: Vector) -> list[float]:
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]
