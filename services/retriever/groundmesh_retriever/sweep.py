"""The sweep: deletes from the stores what the catalog has let go. One task, one owner.

What is to be deleted is known from the catalog alone: versions and indexes are noted there before
the stores hear of them, and retired there before they are deleted. So nothing has to be searched
for, a crash at any point leaves a row that says what to do, and a version that another replica is
writing is safe as long as it goes on writing.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from groundmesh.errors import MeshError
from groundmesh_retriever.catalog import chunk_sets, collections, times
from groundmesh_retriever.catalog.chunk_sets import RetiredChunkSet
from groundmesh_retriever.parts import Parts, chunk_keys
from groundmesh_retriever.stores.base import IndexMissing

log = logging.getLogger(__name__)

_BATCH = 100
_RETRY_S = 15.0


@dataclass
class Swept:
    """What a process has swept so far."""

    versions: int = 0
    indexes: int = 0
    texts: int = 0


class Sweeper:
    """Deletes garbage when woken, and every ``interval_s`` in any case."""

    def __init__(
        self, parts: Parts, *, interval_s: float, min_age_s: float, replaced_index_s: float
    ) -> None:
        """``replaced_index_s`` is how long calls may still be under way on a replaced index."""
        self._parts = parts
        self._interval_s = interval_s
        self.min_age_s = min_age_s
        self._replaced_index_s = replaced_index_s
        self._woken = asyncio.Event()
        self.swept = Swept()

    def wake(self) -> None:
        """Say that there is something to delete."""
        self._woken.set()

    async def run(self) -> None:
        """Sweep until cancelled. A store that is away is tried again at the next turn."""
        while True:
            self._woken.clear()
            pause_s = self._interval_s
            try:
                await self.sweep()
            except MeshError as error:
                log.warning("sweep put off: %s", error.message)
                pause_s = min(pause_s, _RETRY_S)
            # Not wait_for: that of Python 3.11 forgets a cancellation that comes with the waking.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()

    async def sweep(self) -> None:
        """Delete everything that is garbage at this moment."""
        async with self._parts.database.writing() as connection:
            before = times.ago(self.min_age_s)
            await chunk_sets.retire_abandoned(connection, before=before)
            await collections.retire_abandoned_indexes(connection, before=before)
            since = times.ago(self._replaced_index_s)
            await collections.retire_replaced_indexes(connection, before=since)
        await self._sweep_versions(None)
        await self._sweep_indexes()
        await self._sweep_texts()

    async def purge(self, collection_uid: str, document_id: str) -> None:
        """Delete the retired versions of one document with their texts, before returning."""
        await self._sweep_versions((collection_uid, document_id))

    async def _sweep_versions(self, document: tuple[str, str] | None) -> None:
        while True:
            async with self._parts.database.reading() as connection:
                retired = await chunk_sets.retired(connection, limit=_BATCH, document=document)
            for chunk_set in retired:
                await self._delete_chunks(chunk_set)
            if len(retired) < _BATCH:
                return

    async def _delete_chunks(self, chunk_set: RetiredChunkSet) -> None:
        keys = chunk_keys(chunk_set.version, range(chunk_set.chunk_count))
        try:
            await self._parts.vectors.delete(chunk_set.index_id, keys)
        except IndexMissing:
            log.info("the index %s is gone with its chunks", chunk_set.index_id)
        await self._delete_text(chunk_set.text_sha256)
        async with self._parts.database.writing() as connection:
            await chunk_sets.forget(connection, chunk_set)
        self.swept.versions += 1

    async def _sweep_indexes(self) -> None:
        async with self._parts.database.reading() as connection:
            retired = await collections.retired_indexes(connection, limit=_BATCH)
        for index_id in retired:
            await self._parts.vectors.drop_index(index_id)
            async with self._parts.database.writing() as connection:
                await collections.forget_index(connection, index_id)
            self.swept.indexes += 1

    async def _sweep_texts(self) -> None:
        while True:
            async with self._parts.database.reading() as connection:
                garbage = await chunk_sets.unreferenced_texts(connection, limit=_BATCH)
            for sha256 in garbage:
                await self._delete_text(sha256)
            if len(garbage) < _BATCH:
                return

    async def _delete_text(self, sha256: str) -> None:
        # The file goes inside the transaction: a writer who wants the same text waits for its
        # end, and then writes it again.
        async with self._parts.database.writing() as connection:
            if not await chunk_sets.lock_unreferenced_text(connection, sha256):
                return
            await self._parts.texts.delete(sha256)
            await chunk_sets.forget_text(connection, sha256)
        self.swept.texts += 1
