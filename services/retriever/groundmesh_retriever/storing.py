"""The writes to the stores for one document, and whether it is known how they ended."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from groundmesh.errors import DeadlineExceeded, Unavailable


class Storing:
    """Writes to the stores, one after another."""

    def __init__(self) -> None:
        self._last: asyncio.Future[None] | None = None

    async def write(self, work: Coroutine[Any, Any, None]) -> None:
        """Write to a store; it goes on when the caller leaves, as the store's own part would."""
        self._last = asyncio.ensure_future(work)
        await asyncio.shield(self._last)

    async def is_over(self) -> bool:
        """Whether it is sure that the stores do nothing more for this document.

        A write of which a store did not say how it ended may be done by it any time later.
        """
        if self._last is None:
            return True
        await asyncio.wait([self._last])  # each call of the store has an end in time
        if self._last.cancelled():
            return False
        return not isinstance(self._last.exception(), Unavailable | DeadlineExceeded)
