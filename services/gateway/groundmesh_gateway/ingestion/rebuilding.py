"""Filling a shadow index: each document that it lacks is read, split, embedded and written.

It keeps no state: what is missing is the retriever's to say, so a run that ended, however it did,
is taken up by the next. What clients write meanwhile they write to the shadow index, too; so one
walk over what is missing meets everything.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from groundmesh.errors import Aborted, Internal, MeshError, NotFound, Reason
from groundmesh_gateway.ingestion.budget import Budget
from groundmesh_gateway.ingestion.model import EmbeddedChunks
from groundmesh_gateway.ingestion.patience import Patience
from groundmesh_gateway.ingestion.splitting_again import ChunkMaker, KeptText
from groundmesh_gateway.preparing import Prepared

_log = logging.getLogger(__name__)

_PROGRESS_INTERVAL_S = 1.0


@dataclass(frozen=True)
class UnbuiltName:
    """A document that a shadow index lacks."""

    name: str
    uri: str
    text_bytes: int


@dataclass(frozen=True)
class UnbuiltDocument:
    """One version of a document, with all that splitting it anew takes."""

    name: str
    version: str
    kept: KeptText


@dataclass(frozen=True)
class Size:
    """Documents that there are, and those of them that are built."""

    total: int
    built: int


@dataclass(frozen=True)
class BuildFailed:
    """A document that could not be built."""

    name: str
    uri: str
    error: MeshError


@dataclass(frozen=True)
class BuildProgress:
    """How far the building is."""

    size: Size
    failed: int
    chunks: int
    elapsed_s: float


Emit = Callable[[BuildFailed | BuildProgress], Awaitable[None]]
"""Tells the client; waits while the client does not listen."""


class Shadow(Protocol):
    """The shadow index of a reindex."""

    async def page(self, token: str) -> tuple[list[UnbuiltName], str]:
        """Some documents that it lacks, and the token of the next."""
        ...

    async def read(self, name: str) -> UnbuiltDocument:
        """A document with its text and outline."""
        ...

    async def write(
        self, document: UnbuiltDocument, parts: AsyncIterator[EmbeddedChunks], count: int
    ) -> None:
        """Put the chunks of a document into it; Aborted when the document has changed."""


@dataclass(frozen=True)
class Bounds:
    """What is in hand at a time."""

    documents: int
    text_bytes: Budget
    """Shared with all that the gateway takes in."""


class Rebuild:
    """One run over what a shadow index lacks; everything it starts ends with ``run``."""

    def __init__(
        self,
        shadow: Shadow,
        maker: ChunkMaker,
        patience: Patience,
        bounds: Bounds,
        *,
        size: Size,
        emit: Emit,
    ) -> None:
        self._shadow = shadow
        self._maker = maker
        self._patience = patience
        self._bounds = bounds
        self._places = asyncio.Semaphore(bounds.documents)
        self._size = size
        self._emit = emit
        self._built = self._failed = self._chunks = 0
        self._since = time.monotonic()

    async def run(self) -> None:
        """Build until nothing is missing but what failed."""
        async with asyncio.TaskGroup() as helpers:
            reporting = helpers.create_task(self._report())
            async with asyncio.TaskGroup() as documents:
                async for name in self._missing():
                    await self._places.acquire()
                    documents.create_task(self._finish(name))
            reporting.cancel()
        await self._emit(self._progress())

    async def _missing(self) -> AsyncIterator[UnbuiltName]:
        token, first = "", True
        while token or first:
            first = False
            names, token = await self._patience.call(lambda at=token: self._shadow.page(at))  # type: ignore[misc]
            for name in names:
                yield name

    async def _finish(self, name: UnbuiltName) -> None:
        try:
            async with self._bounds.text_bytes.holding(max(name.text_bytes, 1)):
                await self._build(name.name)
            self._built += 1
        except MeshError as error:
            if error.reason in {Reason.REINDEX_OVER, Reason.COLLECTION_NOT_FOUND}:
                raise
            await self._fail(name, error)
        except Exception:  # noqa: BLE001 - it is this document's alone: the others go on
            _log.exception("unexpected error with a document")
            await self._fail(name, Internal("a fault of the service; its log has the details"))
        finally:
            self._places.release()

    async def _build(self, name: str) -> None:
        try:
            document = await self._patience.call(lambda: self._shadow.read(name))
        except NotFound as error:
            if error.reason is Reason.DOCUMENT_NOT_FOUND:
                return  # deleted meanwhile, from the shadow index as well
            raise
        prepared = await self._maker.prepared(document.kept)
        if await self._patience.call(lambda: self._written(document, prepared)):
            self._chunks += prepared.chunk_count

    async def _written(self, document: UnbuiltDocument, prepared: Prepared) -> bool:
        """Whether it was for us to write: who changed or deleted it wrote both indexes."""
        try:
            async with aclosing(self._maker.embedded(prepared)) as parts:
                await self._shadow.write(document, parts, prepared.chunk_count)
        except Aborted as error:
            if error.reason is Reason.CONCURRENT_CHANGE:
                return False
            raise
        except NotFound as error:
            if error.reason is Reason.DOCUMENT_NOT_FOUND:
                return False
            raise
        return True

    async def _fail(self, name: UnbuiltName, error: MeshError) -> None:
        self._failed += 1
        await self._emit(BuildFailed(name.name, name.uri, error))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_INTERVAL_S)
            await self._emit(self._progress())

    def _progress(self) -> BuildProgress:
        built = min(self._size.built + self._built, self._size.total)
        return BuildProgress(
            size=Size(self._size.total, built),
            failed=self._failed,
            chunks=self._chunks,
            elapsed_s=time.monotonic() - self._since,
        )
