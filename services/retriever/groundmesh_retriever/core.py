"""The retriever's engine: its three stores, what works on them, and the one task that sweeps."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from groundmesh.errors import Internal, Reason, Unavailable
from groundmesh.server.engine import EngineInfo
from groundmesh_retriever.catalog.database import Database
from groundmesh_retriever.collections import Collections
from groundmesh_retriever.documents import Documents
from groundmesh_retriever.parts import Parts
from groundmesh_retriever.reindexing import Reindexes
from groundmesh_retriever.search import Searches
from groundmesh_retriever.stores.base import Capabilities, VectorStore
from groundmesh_retriever.stores.texts import TextStore
from groundmesh_retriever.sweep import Sweeper
from groundmesh_retriever.unbuilt import Unbuilt
from groundmesh_retriever.uploads import Uploads

log = logging.getLogger(__name__)

_STOP_S = 5.0
_START_PAUSE_S = 0.5


@dataclass(frozen=True)
class RetrieverOptions:
    """Where the state is, and the limits."""

    catalog_url: str
    artifact_url: str
    folder: Path
    """Made at the start, for what lies in it."""
    store_start_timeout_s: float = 60.0
    store_timeout_s: float = 10.0
    catalog_timeout_s: float = 10.0
    max_text_bytes: int = 64 << 20
    sweep_interval_s: float = 300.0
    sweep_min_age_s: float = 900.0
    replaced_index_s: float = 120.0


class Retriever:
    """The engine that the chassis serves.

    A vector store, database or artifact store that is away makes calls fail, not the process: all
    three connections come back by themselves, and a restart would mend nothing.
    """

    def __init__(self, vectors: VectorStore, options: RetrieverOptions, *, engine: str) -> None:
        """``engine`` is the store's name."""
        self._options = options
        self._engine = engine
        self._vectors = vectors
        self.database = Database(options.catalog_url, timeout_s=options.catalog_timeout_s)
        texts = TextStore(options.artifact_url, timeout_s=options.store_timeout_s)
        parts = Parts(self.database, vectors, texts)
        self.sweeper = Sweeper(
            parts,
            interval_s=options.sweep_interval_s,
            min_age_s=options.sweep_min_age_s,
            replaced_index_s=options.replaced_index_s,
        )
        self._sweeping: asyncio.Task[None] | None = None
        self._capabilities: Capabilities | None = None
        self.collections = Collections(parts, self.sweeper)
        self.documents = Documents(parts, self.sweeper)
        self.uploads = Uploads(parts, self.sweeper, max_text_bytes=options.max_text_bytes)
        self.reindexes = Reindexes(parts, self.sweeper)
        self.unbuilt = Unbuilt(parts)
        self.searches = Searches(parts)

    async def start(self) -> None:
        """Migrate the catalog, wait for the vector store to answer, and begin to sweep."""
        await asyncio.to_thread(self._options.folder.mkdir, parents=True, exist_ok=True)
        await self.database.open()
        self._capabilities = await self._wait_for_store()
        log.info(
            "vector store answers",
            extra={"fields": {"version": self._capabilities.server_version}},
        )
        self._sweeping = asyncio.create_task(self.sweeper.run(), name="retriever sweep")

    async def check(self) -> None:
        """Raise when the task that sweeps has died: the one thing that only a restart mends."""
        if self._sweeping is None or not self._sweeping.done():
            return
        cause = None if self._sweeping.cancelled() else self._sweeping.exception()
        raise Internal("the sweep died", reason=Reason.ENGINE_DEAD) from cause

    async def stop(self) -> None:
        """End the sweep and close the connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping], timeout=_STOP_S)
        await self._vectors.close()
        await self.database.close()

    def describe(self) -> EngineInfo:
        """The store, its version, and what was swept so far."""
        swept = self.sweeper.swept
        return EngineInfo(
            engine=self._engine,
            engine_version=self._capabilities.server_version if self._capabilities else "",
            load={
                "swept_versions": float(swept.versions),
                "swept_indexes": float(swept.indexes),
                "swept_texts": float(swept.texts),
            },
        )

    async def _wait_for_store(self) -> Capabilities:
        try:
            async with asyncio.timeout(self._options.store_start_timeout_s):
                while True:
                    try:
                        return await self._vectors.capabilities()
                    except Unavailable:
                        await asyncio.sleep(_START_PAUSE_S)
        except TimeoutError as error:
            raise Unavailable(
                f"the vector store did not answer in {self._options.store_start_timeout_s:g} s",
                reason=Reason.STORE_UNAVAILABLE,
            ) from error
