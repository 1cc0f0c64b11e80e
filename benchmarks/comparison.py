"""Two ways of doing the same, measured in turns, so that a noisy machine is noisy to both."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Self

import numpy as np

ROUNDS = 5
_RESAMPLES = 2_000

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Comparison:
    """Median seconds of one unit of work, both ways."""

    what: str
    this: str
    this_s: float
    against: str
    against_s: float
    interval: tuple[float, float] | None = None
    """Where 95 % of the ratios lie that samples of the same size would give (bootstrap)."""

    @classmethod
    def of_pairs(
        cls, what: str, this: tuple[str, Sequence[float]], against: tuple[str, Sequence[float]]
    ) -> Self:
        """Of seconds that were taken in pairs, by both at nearly the same time."""
        ours, theirs = np.array(this[1]), np.array(against[1])
        drawn = np.random.default_rng(0).integers(len(ours), size=(_RESAMPLES, len(ours)))
        ratios = np.median(ours[drawn], axis=1) / np.median(theirs[drawn], axis=1)
        low, high = (float(each) for each in np.quantile(ratios, (0.025, 0.975)))
        seconds = float(np.median(ours)), float(np.median(theirs))
        return cls(what, this[0], seconds[0], against[0], seconds[1], interval=(low, high))

    def row(self) -> tuple[str, str, str, str]:
        """Its cells for people."""
        this = f"{self.this}: {_readable(self.this_s)}"
        against = f"{self.against}: {_readable(self.against_s)}"
        ratio = f"{self.this_s / self.against_s:.2f}"
        if self.interval is not None:
            ratio += f" ({self.interval[0]:.2f} to {self.interval[1]:.2f})"
        return self.what, this, against, ratio


async def in_turns(first: Work, second: Work, *, units: int) -> tuple[float, float]:
    """Median seconds a unit of each, over rounds that alternate; the first round only warms up."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 1):
        for work, taken in zip((first, second), times, strict=True):
            began = time.perf_counter()
            await work()
            taken.append((time.perf_counter() - began) / units)
    return median(times[0][1:]), median(times[1][1:])


def median_with_interval(values: Sequence[float]) -> str:
    """The median of what rounds gave, and the 95 % bootstrap interval of it."""
    random = Random(len(values))  # noqa: S311 - no secret
    drawn = sorted(median(random.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    low, high = drawn[int(0.025 * _RESAMPLES)], drawn[int(0.975 * _RESAMPLES) - 1]
    return f"{median(values):.3f} ({low:.3f} to {high:.3f})"


def _readable(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
