"""How much memory another process takes."""

import asyncio
import re
from pathlib import Path
from types import TracebackType

_INTERVAL_S = 0.05
_SHORT = 0.25
"""Share of the limit: a buffer that is doubled is refused when it has taken a third of it."""
_PEAK = re.compile(rb"^VmPeak:\s+(\d+) kB$", re.MULTILINE)


class MemoryWatch:
    """Watches a process in the ``with`` block: its kernel forgets these figures as it dies.

    A native library that is refused memory aborts without a word, so growth is the only sign of
    why. It is judged by samples, and so may be missed; the limit itself never is.
    """

    def __init__(self, pid: int, limit_bytes: int) -> None:
        """``limit_bytes`` is what the process may take beyond what it has when first watched."""
        self._status = Path(f"/proc/{pid}/status")
        self._limit_bytes = limit_bytes
        self._first = self._last = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def was_short(self) -> bool:
        """Whether the process was on the way to its limit when it was last seen."""
        return self._last - self._first > _SHORT * self._limit_bytes

    def __enter__(self) -> None:
        self._sample()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _sample(self) -> None:
        try:
            peak = _PEAK.search(self._status.read_bytes())
        except OSError:  # it is gone
            return
        if peak is not None:
            self._last = int(peak[1]) * 1024
            self._first = self._first or self._last
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self._sample)
