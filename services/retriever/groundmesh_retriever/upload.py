"""Writing documents: text, chunks and vectors first, then the catalog's row, which commits them.

Each attempt to write a document has a version of its own, so that two writers of one document, or
a writer and the remains of one that was killed, never touch each other's chunks. Readers see the
version that the catalog calls live: the old one up to the commit, the new one from then on.
"""

import asyncio
import json
import zlib
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.errors import InvalidArgument, Reason, ResourceExhausted
from groundmesh.names import DocumentName, document_id
from groundmesh_retriever.catalog import chunk_sets, reindexes, times
from groundmesh_retriever.catalog import collections as collection_rows
from groundmesh_retriever.catalog import documents as rows
from groundmesh_retriever.catalog.documents import LiveDocument
from groundmesh_retriever.chunk_set import ChunkSet
from groundmesh_retriever.draft_checks import text_sha256_of
from groundmesh_retriever.model import (
    ChunkSpan,
    Collection,
    Document,
    DocumentDraft,
    Index,
    Outcome,
    Reindex,
    Upserted,
)
from groundmesh_retriever.parts import Parts, index_changed, no_collection, overtaken
from groundmesh_retriever.stores.base import Vectors
from groundmesh_retriever.storing import Storing
from groundmesh_retriever.sweep import Sweeper


@dataclass(frozen=True)
class _Sealed:
    """The text of an upload, complete."""

    text: bytes
    sha256: str
    outline: bytes
    """Compressed."""
    changed: bool
    """Whether there is anything to write: not when the old version is the same."""


class Upload:
    """One document being written: its text, then its chunks, then the commit.

    While the collection is reindexed it goes into the shadow index, too. Either ``commit``
    returns and the document is there, or nothing of it ever was; who gives up, for whatever
    reason, calls ``abandon``.
    """

    def __init__(
        self,
        parts: Parts,
        sweeper: Sweeper,
        collection: Collection,
        draft: DocumentDraft,
        *,
        old: LiveDocument | None,
        reindex: Reindex | None,
        limit: int,
    ) -> None:
        """``old`` is the version that is live; the commit looks whether it is still."""
        self._parts = parts
        self._sweeper = sweeper
        self._collection = collection
        self._draft = draft
        self._old = old
        self._reindex = reindex
        self._limit = limit
        self._received = bytearray()
        self._outline = bytearray()
        self._sealed: _Sealed | None = None
        self._storing = Storing()
        self._serving = self._chunk_set(collection.index)
        self._shadow = self._chunk_set(reindex.index) if reindex else None

    async def add_text(self, part: bytes) -> None:
        """Take more of the text."""
        self._take(self._received, part, "text")

    async def add_outline(self, part: bytes) -> None:
        """Take more of what splitting the text anew takes beside it."""
        self._take(self._outline, part, "outline")

    async def add_chunks(
        self, spans: list[ChunkSpan], vectors: Vectors, *, shadow: bool = False
    ) -> None:
        """Take more chunks with their vectors for an index, and write them to the store."""
        chunk_set = self._shadow if shadow else self._serving
        if chunk_set is None:
            raise InvalidArgument.of_field("chunks.shadow", "document.shadow is not set")
        chunk_set.take(spans, vectors)
        sealed = await self._seal()
        if sealed.changed:
            await chunk_set.write(sealed.text, spans, vectors)

    async def commit(self, chunk_count: int, shadow_chunk_count: int = 0) -> Upserted:
        """Make the document what readers see."""
        _check_count(self._serving, chunk_count, "commit.chunk_count")
        if self._shadow is not None:
            _check_count(self._shadow, shadow_chunk_count, "commit.shadow_chunk_count")
        sealed = await self._seal()
        upserted = await self._parts.database.write(partial(self._committed, sealed))
        if upserted.outcome is Outcome.REPLACED:
            self._sweeper.wake()
        return upserted

    async def abandon(self) -> None:
        """Leave what was written to the sweep.

        Where it is not sure how that ended, the versions stay PENDING until they are so old that
        it is surely over.
        """
        sealed = self._sealed
        if sealed is None or not sealed.changed or not await self._storing.is_over():
            return

        async def give_up(connection: AsyncConnection) -> None:
            for chunk_set in self._chunk_sets():
                await chunk_set.give_up(connection, sealed.sha256)

        await self._parts.database.write(give_up)
        self._sweeper.wake()

    async def _committed(self, sealed: _Sealed, connection: AsyncConnection) -> Upserted:
        old = await self._lock(connection)
        if not sealed.changed:
            if old is None or self._old is None or old.version != self._old.version:
                raise overtaken(self._draft.uri)
            return Upserted(old.document, Outcome.UNCHANGED)
        moment = await collection_rows.touch(connection, self._collection.uid)
        if moment is None:
            raise no_collection(self._collection.name)
        document = self._document(sealed, old, moment)
        await chunk_sets.retire_document(connection, self._collection.uid, self._id)
        for chunk_set in self._chunk_sets():
            await chunk_set.make_live(connection, moment=moment)
        await rows.put(connection, self._collection, document)
        if sealed.outline:
            await rows.put_outline(connection, self._collection, self._id, sealed.outline)
        return Upserted(document, Outcome.CREATED if old is None else Outcome.REPLACED)

    def _take(self, received: bytearray, part: bytes, what: str) -> None:
        if self._sealed is not None:
            raise InvalidArgument.of_field(f"{what}_part", "must come before the chunks")
        if len(received) + len(part) > self._limit:
            raise ResourceExhausted(
                f"the {what} of {self._draft.uri} has more than {self._limit} bytes",
                reason=Reason.DOCUMENT_TOO_LARGE,
            )
        received += part

    async def _seal(self) -> _Sealed:
        if self._sealed is None:
            text, outline = bytes(self._received), bytes(self._outline)
            self._received.clear()
            self._outline.clear()
            sha256 = await asyncio.to_thread(text_sha256_of, text)
            same = self._old is not None and _same(self._old.document, self._draft, sha256)
            outline = await asyncio.to_thread(zlib.compress, outline) if outline else b""
            self._sealed = _Sealed(text, sha256, outline, changed=not same)
            if not same:
                await self._register(sha256, text)
        return self._sealed

    async def _register(self, sha256: str, text: bytes) -> None:
        async def begin(connection: AsyncConnection) -> None:
            for chunk_set in self._chunk_sets():
                await chunk_set.begin(connection, sha256)

        await self._parts.database.write(begin)
        await self._storing.write(self._parts.texts.put(sha256, text))

    async def _lock(self, connection: AsyncConnection) -> LiveDocument | None:
        """The version that is live now, with the collection kept as it is until the commit."""
        now = await collection_rows.lock(connection, self._collection.uid)
        if now is None:
            raise no_collection(self._collection.name)
        # Whatever began or ended since the first chunk: what is committed is in every index.
        if (now.index.id, await reindexes.under_way(connection, now.uid)) != (
            self._collection.index.id,
            self._reindex,
        ):
            raise index_changed(self._draft.uri)
        return await rows.find(connection, self._collection, self._id, labels=None)

    def _document(self, sealed: _Sealed, old: LiveDocument | None, moment: int) -> Document:
        now = times.to_datetime(moment)
        name = self._collection.name
        return Document(
            name=DocumentName(name.tenant, name.collection, self._id),
            draft=self._draft,
            text_sha256=sealed.sha256,
            text_bytes=len(sealed.text),
            chunk_count=self._serving.count,
            create_time=now if old is None else old.document.create_time,
            update_time=now,
        )

    def _chunk_set(self, index: Index) -> ChunkSet:
        of = self._collection
        return ChunkSet(
            self._parts,
            of.name,
            collection_uid=of.uid,
            index=index,
            draft=self._draft,
            storing=self._storing,
        )

    def _chunk_sets(self) -> list[ChunkSet]:
        return [self._serving] if self._shadow is None else [self._serving, self._shadow]

    @property
    def _id(self) -> str:
        return document_id(self._draft.uri)


def _check_count(chunk_set: ChunkSet, said: int, field: str) -> None:
    if said != chunk_set.count or said < 1:
        raise InvalidArgument.of_field(field, f"must be above 0, and {chunk_set.count} were sent")


def _same(document: Document, draft: DocumentDraft, text_sha256: str) -> bool:
    # As JSON, because True == 1.0 in Python.
    metadata = [json.dumps(dict(d.metadata), sort_keys=True) for d in (document.draft, draft)]
    return (
        document.text_sha256 == text_sha256
        and metadata[0] == metadata[1]
        and replace(document.draft, metadata={}) == replace(draft, metadata={})
    )
