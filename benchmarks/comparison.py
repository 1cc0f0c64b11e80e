"""Two ways of doing the same, measured in turns, so that a noisy machine is noisy to both."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

ROUNDS = 5
_RESAMPLES = 2000

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Comparison:
    """Median seconds of one unit of work, both ways."""

    what: str
    this: str
    this_s: float
    against: str
    against_s: float

    def row(self) -> tuple[str, str, str, str]:
        """Its cells for people."""
        this = f"{self.this}: {_readable(self.this_s)}"
        against = f"{self.against}: {_readable(self.against_s)}"
        return self.what, this, against, f"{self.this_s / self.against_s:.2f}"


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
