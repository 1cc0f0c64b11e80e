"""How long something took, when several calls of it may be under way at once."""

import time
from types import TracebackType


class Clock:
    """Counts the time in which at least one ``with`` block is open."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._open = 0
        self._began = 0.0

    def __enter__(self) -> None:
        if self._open == 0:
            self._began = time.perf_counter()
        self._open += 1

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._open -= 1
        if self._open == 0:
            self.seconds += time.perf_counter() - self._began
