"""Settling: have Milvus Lite put away what was written, so that searches of it are fast.

Milvus Lite keeps up to 128 MiB of an index's last writes as rows in memory, and builds the
full text index of these rows anew in every search. Once they are flushed into a segment, that index
is built once and kept. It flushes only when told to, or when the memory is full; so it is
told, by the first search that comes when the writes have paused or have become many.

While it flushes, for a moment a search could see the rows in neither place. Therefore searches
wait for a flush, which is one wait instead of many, and a flush waits for the searches under way.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from groundmesh.errors import MeshError

log = logging.getLogger(__name__)

_PAUSE_S = 1.0
_FEW = 64
_MANY = 1_000

Flush = Callable[[str], Awaitable[None]]


@dataclass
class _Index:
    """What is known of one index."""

    written: int = _FEW
    """Rows since the last flush; at first it is not known whether there are any."""
    last_write: float = float("-inf")
    searches: int = 0
    no_searches: asyncio.Event = field(default_factory=asyncio.Event)
    flushing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_due(self) -> bool:
        """Whether the writes are worth a flush, and are not just going on."""
        paused = time.monotonic() - self.last_write >= _PAUSE_S
        return self.written >= (_FEW if paused else _MANY)


class Settling:
    """Flushes before searches where that pays, and keeps the two apart."""

    def __init__(self, flush: Flush) -> None:
        """``flush`` must not run beside a write of the same index."""
        self._flush = flush
        self._indexes: dict[str, _Index] = {}

    def wrote(self, index: str, rows: int) -> None:
        """Note a write."""
        known = self._indexes.setdefault(index, _Index())
        known.written += rows
        known.last_write = time.monotonic()

    def forget(self, index: str) -> None:
        """An index is no more."""
        self._indexes.pop(index, None)

    @asynccontextmanager
    async def reading(self, index: str) -> AsyncIterator[None]:
        """A block that searches an index, settled if that is due."""
        known = self._indexes.setdefault(index, _Index())
        if known.is_due() or known.flushing.locked():
            async with known.flushing:
                if known.is_due():
                    await self._settle(index, known)
        known.searches += 1
        known.no_searches.clear()
        try:
            yield
        finally:
            known.searches -= 1
            if known.searches == 0:
                known.no_searches.set()

    async def _settle(self, index: str, known: _Index) -> None:
        if known.searches:
            await known.no_searches.wait()
        written = known.written  # no more can come meanwhile: a flush holds the writers' lock
        try:
            await self._flush(index)
        except MeshError as error:  # it is only slower so, and the search will say what is wrong
            log.warning("could not flush %s: %s", index, error.message)
            known.last_write = time.monotonic()  # not again at once
        else:
            known.written -= written
