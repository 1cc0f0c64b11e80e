"""To wait for a service that is away or busy, but not for ever."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from groundmesh.errors import Aborted, MeshError, Reason, ResourceExhausted, Unavailable

_FIRST_PAUSE_S = 0.25
_LAST_PAUSE_S = 4.0

R = TypeVar("R")


class Patience:
    """Tries one service's calls again while it is away, for a bounded time in all.

    The time runs from the first failure that no success has followed, whichever document met it:
    when the service stays away, documents fail at once, and not each after a wait of its own.
    """

    def __init__(self, limit_s: float) -> None:
        """``limit_s`` is how long the service may be away."""
        self._limit_s = limit_s
        self._away_since: float | None = None

    async def call(self, attempt: Callable[[], Awaitable[R]]) -> R:
        """The result of ``attempt``, which is made anew each time, or its last error."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                result = await attempt()
            except (Unavailable, ResourceExhausted, Aborted) as error:
                if not _passes(error) or not self._lasts():
                    raise
                await asyncio.sleep(max(pause_s, min(error.retry_after_s or 0.0, _LAST_PAUSE_S)))
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            else:
                self._away_since = None
                return result

    def _lasts(self) -> bool:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        return now - self._away_since < self._limit_s


def _passes(error: MeshError) -> bool:
    """Whether the error may be over soon; a document that is too large stays so."""
    return not isinstance(error, ResourceExhausted) or error.reason is Reason.OVERLOADED
