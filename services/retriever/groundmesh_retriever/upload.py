"""Writing documents: text, chunks and vectors first, then the catalog's row, which commits them.

Each attempt to write a document has a version of its own, so that two writers of one document, or
a writer and the remains of one that was killed, never touch each other's chunks. Readers see the
version that the catalog calls live: the old one up to the commit, the new one from then on.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.chunk_context import context_of, in_context
from groundmesh.errors import (
    Aborted,
    DeadlineExceeded,
    InvalidArgument,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh.names import DocumentName, document_id
from groundmesh_retriever import analysis
from groundmesh_retriever.catalog import chunk_sets, times
from groundmesh_retriever.catalog import collections as collection_rows
from groundmesh_retriever.catalog import documents as rows
from groundmesh_retriever.catalog.chunk_sets import Attempt
from groundmesh_retriever.catalog.documents import EVERYBODY, LiveDocument
from groundmesh_retriever.draft_checks import cut
from groundmesh_retriever.model import Chunk, ChunkSpan, Collection, Document, DocumentDraft
from groundmesh_retriever.parts import Parts, chunk_keys, lost_index, no_collection
from groundmesh_retriever.stores.base import ChunkWrite, IndexMissing, Vectors
from groundmesh_retriever.sweep import Sweeper


class Outcome(Enum):
    """What a write did."""

    CREATED = "CREATED"
    REPLACED = "REPLACED"
    UNCHANGED = "UNCHANGED"


@dataclass(frozen=True)
class Upserted:
    """A committed document, and what the write did."""

    document: Document
    outcome: Outcome


@dataclass(frozen=True)
class _Sealed:
    """The text of an upload, complete."""

    text: bytes
    sha256: str
    version: str | None
    """What is being written; None when the old version is the same."""
    reserved: int
    """Chunks that the catalog was told of at once."""


class Upload:
    """One document being written: its text, then its chunks, then the commit.

    Either ``commit`` returns and the document is there, or nothing of it ever was; who gives up,
    for whatever reason, calls ``abandon``.
    """

    def __init__(
        self,
        parts: Parts,
        sweeper: Sweeper,
        collection: Collection,
        draft: DocumentDraft,
        *,
        old: LiveDocument | None,
        limit: int,
    ) -> None:
        """``old`` is the version that is live; the commit looks whether it is still."""
        self._parts = parts
        self._sweeper = sweeper
        self._collection = collection
        self._draft = draft
        self._old = old
        self._limit = limit
        self._received = bytearray()
        self._sealed: _Sealed | None = None
        self._attempt: Attempt | None = None
        """None while nothing is noted in the catalog, nor has to be."""
        self._storing: asyncio.Future[None] | None = None
        """The last write to a store."""
        self._chunk_count = 0
        self._last_start = 0

    async def add_text(self, part: bytes) -> None:
        """Take more of the text."""
        if self._sealed is not None:
            raise InvalidArgument.of_field("text_part", "must come before the chunks")
        if len(self._received) + len(part) > self._limit:
            raise ResourceExhausted(
                f"the text of {self._draft.uri} has more than {self._limit} bytes",
                reason=Reason.DOCUMENT_TOO_LARGE,
            )
        self._received += part

    async def add_chunks(self, spans: list[ChunkSpan], vectors: Vectors) -> None:
        """Take more chunks with their vectors, and write them to the store."""
        self._check_vectors(spans, vectors)
        first = self._chunk_count
        self._chunk_count += len(spans)
        # Noted before it is done, so that the sweep knows what there may be.
        sealed = await self._seal()
        if sealed.version is None or not spans:
            return
        if sealed.reserved < self._chunk_count:
            await self._reserve(sealed.version)
        writes = await asyncio.to_thread(self._writes, sealed.text, sealed.version, spans, first)
        self._last_start = spans[-1].start_byte
        try:
            await self._store(
                self._parts.vectors.upsert(self._collection.index.id, writes, vectors)
            )
        except IndexMissing as error:
            raise lost_index(self._collection.name) from error

    async def commit(self, chunk_count: int) -> Upserted:
        """Make the document what readers see."""
        if chunk_count != self._chunk_count or chunk_count < 1:
            raise InvalidArgument.of_field(
                "commit.chunk_count", f"must be above 0, and {self._chunk_count} were sent"
            )
        sealed = await self._seal()
        upserted = await self._parts.database.write(partial(self._committed, sealed))
        if upserted.outcome is Outcome.REPLACED:
            self._sweeper.wake()
        return upserted

    async def abandon(self) -> None:
        """Leave what was written to the sweep.

        A write of which a store did not say how it ended may be done by it any time later: that
        version stays PENDING until it is so old that it is surely over.
        """
        attempt = self._attempt
        if attempt is None or not await self._is_stored():
            return
        count = self._chunk_count
        await self._parts.database.write(
            lambda connection: chunk_sets.give_up(connection, attempt, chunk_count=count)
        )
        self._sweeper.wake()

    async def _is_stored(self) -> bool:
        """Whether it is sure that the stores do nothing more for this document."""
        if self._storing is None:
            return True
        await asyncio.wait([self._storing])  # each call of the store has an end in time
        return not isinstance(self._storing.exception(), Unavailable | DeadlineExceeded)

    async def _committed(self, sealed: _Sealed, connection: AsyncConnection) -> Upserted:
        old = await self._lock(connection)
        if sealed.version is None:
            if old is None or self._old is None or old.version != self._old.version:
                raise self._overtaken()
            return Upserted(old.document, Outcome.UNCHANGED)
        moment = await collection_rows.touch(connection, self._collection.uid)
        if moment is None:
            raise no_collection(self._collection.name)
        document = self._document(sealed, old, moment)
        if old is not None:
            await chunk_sets.retire(connection, old.version)
        if not await chunk_sets.make_live(connection, sealed.version, moment=moment):
            raise self._overtaken()
        await rows.put(connection, self._collection, document)
        return Upserted(document, Outcome.CREATED if old is None else Outcome.REPLACED)

    async def _reserve(self, version: str) -> None:
        count = self._chunk_count
        if not await self._parts.database.write(
            lambda connection: chunk_sets.reserve(connection, version, count)
        ):
            raise self._overtaken()

    async def _seal(self) -> _Sealed:
        if self._sealed is None:
            text = bytes(self._received)
            self._received.clear()
            sha256 = await asyncio.to_thread(_check_and_hash, text)
            same = self._old is not None and _same(self._old.document, self._draft, sha256)
            version = None if same else secrets.token_hex(16)
            self._sealed = _Sealed(text, sha256, version, reserved=self._chunk_count)
            if version is not None:
                of = self._collection
                await self._register(
                    Attempt(version, of.index.id, of.uid, self._id, text_sha256=sha256), text
                )
        return self._sealed

    async def _register(self, attempt: Attempt, text: bytes) -> None:
        self._attempt = attempt
        count = self._chunk_count
        await self._parts.database.write(
            lambda connection: chunk_sets.begin(connection, attempt, chunk_count=count)
        )
        await self._store(self._parts.texts.put(attempt.text_sha256, text))

    async def _store(self, work: Coroutine[Any, Any, None]) -> None:
        """Write to a store; it goes on when the caller leaves, as the store's own part would."""
        self._storing = asyncio.ensure_future(work)
        await asyncio.shield(self._storing)

    async def _lock(self, connection: AsyncConnection) -> LiveDocument | None:
        """The version that is live now, with the collection kept as it is until the commit."""
        now = await collection_rows.lock(connection, self._collection.uid)
        if now is None:
            raise no_collection(self._collection.name)
        if now.index.id != self._collection.index.id:
            raise self._overtaken()
        return await rows.find(connection, self._collection, self._id, labels=None)

    def _check_vectors(self, spans: list[ChunkSpan], vectors: Vectors) -> None:
        dimension = self._collection.index.config.embedding.dimension
        if len(spans) != len(vectors):
            raise InvalidArgument.of_field(
                "chunks.vectors.rows", f"must be {len(spans)}, one for each chunk"
            )
        if len(vectors) and vectors.shape[1] != dimension:
            raise InvalidArgument.of_field(
                "chunks.vectors.dimension",
                f"must be {dimension}, not {vectors.shape[1]}",
                reason=Reason.DIMENSION_MISMATCH,
            )
        if not np.isfinite(vectors).all():
            raise InvalidArgument.of_field("chunks.vectors.data", "must be finite numbers")
        if not vectors.any(axis=1).all():
            raise InvalidArgument.of_field(
                "chunks.vectors.data", "must hold no row of zeros only: it has no direction"
            )

    def _writes(
        self, text: bytes, version: str, spans: list[ChunkSpan], first: int
    ) -> list[ChunkWrite]:
        chunks = cut(text, spans, first=first, after=self._last_start)
        keys = chunk_keys(version, range(first, first + len(chunks)))
        index = self._collection.index
        analyze = analysis.analyzer(index.config.language)
        title = self._draft.title
        return [
            ChunkWrite(
                key=key,
                version=version,
                document=self._id,
                tenant=self._collection.name.tenant,
                reader_labels=self._draft.reader_labels or (EVERYBODY,),
                metadata=self._draft.metadata,
                chunk=chunk,
                terms=analysis.joined(analyze(_searchable(title, chunk)))
                if index.full_text
                else None,
            )
            for key, chunk in zip(keys, chunks, strict=True)
        ]

    def _document(self, sealed: _Sealed, old: LiveDocument | None, moment: int) -> Document:
        now = times.to_datetime(moment)
        name = self._collection.name
        return Document(
            name=DocumentName(name.tenant, name.collection, self._id),
            draft=self._draft,
            text_sha256=sealed.sha256,
            text_bytes=len(sealed.text),
            chunk_count=self._chunk_count,
            create_time=now if old is None else old.document.create_time,
            update_time=now,
        )

    @property
    def _id(self) -> str:
        return document_id(self._draft.uri)

    def _overtaken(self) -> Aborted:
        return Aborted(f"{self._draft.uri} or its collection changed meanwhile; write it again")


def _searchable(title: str, chunk: Chunk) -> str:
    """A chunk's text in its context: words of a title are looked for in each of its chunks."""
    return in_context(context_of((title, *chunk.span.place.heading_path), chunk.text), chunk.text)


def _check_and_hash(text: bytes) -> str:
    try:
        blank = not text.decode().strip()
    except UnicodeDecodeError as error:
        raise InvalidArgument.of_field("text_part", f"is no UTF-8: {error.reason}") from None
    if blank:
        raise InvalidArgument.of_field(
            "text_part", "the text is empty", reason=Reason.DOCUMENT_EMPTY
        )
    return hashlib.sha256(text).hexdigest()


def _same(document: Document, draft: DocumentDraft, text_sha256: str) -> bool:
    # As JSON, because True == 1.0 in Python.
    metadata = [json.dumps(dict(d.metadata), sort_keys=True) for d in (document.draft, draft)]
    return (
        document.text_sha256 == text_sha256
        and metadata[0] == metadata[1]
        and replace(document.draft, metadata={}) == replace(draft, metadata={})
    )
