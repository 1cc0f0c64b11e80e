"""How fast an ingestion is now, which its average since the beginning does not say."""

from collections import deque

WINDOW_S = 10.0
"""Over how long a rate is taken: documents are of many sizes, so less would jump about."""


class Speedometer:
    """The rates of some totals, measured from time to time."""

    def __init__(self, now: float, *totals: float) -> None:
        """``totals`` are what there is at the beginning."""
        self._seen = deque([(now, totals)])

    def rates(self, now: float, *totals: float) -> tuple[float, ...]:
        """How much a second each total has grown over the last ``WINDOW_S``, or since the begin."""
        while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW_S:
            self._seen.popleft()
        then, before = self._seen[0]
        self._seen.append((now, totals))
        seconds = now - then
        if seconds <= 0:
            return tuple(0.0 for _ in totals)
        # A document that fails takes its chunks back.
        return tuple(max(b - a, 0.0) / seconds for a, b in zip(before, totals, strict=True))
