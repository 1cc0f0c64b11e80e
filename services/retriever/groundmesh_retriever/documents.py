"""Documents that are there: get, list, delete, read the text, list the chunks."""

from dataclasses import dataclass

from groundmesh.errors import DataLoss, InvalidArgument, Reason, Unavailable
from groundmesh.identity import Principal
from groundmesh.names import CollectionName, DocumentName
from groundmesh_retriever.catalog import chunk_sets
from groundmesh_retriever.catalog import collections as collection_rows
from groundmesh_retriever.catalog import documents as rows
from groundmesh_retriever.catalog.documents import LiveDocument, labels_of
from groundmesh_retriever.model import Chunk, Collection, Document, Splitting
from groundmesh_retriever.parts import Parts, chunk_keys, found_collection, no_document
from groundmesh_retriever.stores.base import IndexMissing
from groundmesh_retriever.sweep import Sweeper

MAX_TEXT_PART_BYTES = 4 << 20
"""The most of a text that one call gives."""


@dataclass(frozen=True)
class TextRange:
    """A part of a document's text."""

    data: bytes
    start_byte: int
    total_bytes: int


@dataclass(frozen=True)
class ChunkPage:
    """Some of a document's chunks, in order."""

    document: Document
    splitting: Splitting
    chunks: list[Chunk]
    next_page_token: str


class Documents:
    """What readers do with documents; one that they may not read does not exist for them."""

    def __init__(self, parts: Parts, sweeper: Sweeper) -> None:
        self._parts = parts
        self._sweeper = sweeper

    async def get(self, principal: Principal, name: DocumentName) -> Document:
        """One document, or NotFound."""
        _, live = await self._find(principal, name)
        return live.document

    async def page(
        self,
        principal: Principal,
        parent: CollectionName,
        *,
        uri_prefix: str,
        page_size: int,
        page_token: str,
    ) -> tuple[list[Document], str]:
        """A page of a collection's documents by URI, and the token of the next."""
        tokens = await self._parts.page_tokens()
        listing = ("documents", str(parent), uri_prefix)
        after = tokens.read(page_token, listing=listing)
        collection = await self._parts.collection(parent)
        async with self._parts.database.reading() as connection:
            found = await rows.page(
                connection,
                collection,
                labels=labels_of(principal),
                after_uri=after,
                uri_prefix=uri_prefix,
                limit=page_size + 1,
            )
        if len(found) <= page_size:
            return found, ""
        page = found[:page_size]
        return page, tokens.make(page[-1].draft.uri, listing=listing)

    async def delete(self, principal: Principal, name: DocumentName, *, purge: bool) -> None:
        """Delete a document; with ``purge``, return when the stores have forgotten it, too.

        A purge that failed half way can be asked for again.
        """
        async with self._parts.database.writing() as connection:
            collection = await found_collection(connection, name.parent)
            live = await rows.find(
                connection, collection, name.document, labels=labels_of(principal)
            )
            if live is not None and purge:
                await chunk_sets.retire_pending(connection, collection.uid, name.document)
            if live is not None:
                await collection_rows.touch(connection, collection.uid)
                await chunk_sets.retire_document(connection, collection.uid, name.document)
                await rows.remove(connection, collection, name.document)
            left = await chunk_sets.retired(
                connection, limit=1, document=(collection.uid, name.document)
            )
        if live is None and not (purge and left):
            raise no_document(name)
        if purge:
            await self._sweeper.purge(collection.uid, name.document)
        else:
            self._sweeper.wake()

    async def text(
        self, principal: Principal, name: DocumentName, *, start: int, end: int
    ) -> TextRange:
        """Bytes of the text from ``start`` to ``end`` (0: its end), as far as one call gives."""
        if start < 0:
            raise InvalidArgument.of_field("start_byte", "must not be negative")
        if end < 0 or (end and end < start):
            raise InvalidArgument.of_field("end_byte", "must not be before start_byte")
        _, live = await self._find(principal, name)
        try:
            return await self._text(live.document, start, end)
        except DataLoss:
            _, now = await self._find(principal, name)
            if now.document.text_sha256 == live.document.text_sha256:
                raise
            return await self._text(now.document, start, end)  # it was replaced, and swept

    async def _text(self, document: Document, start: int, end: int) -> TextRange:
        total = document.text_bytes
        start = min(start, total)
        end = min(end or total, total, start + MAX_TEXT_PART_BYTES)
        data = await self._parts.texts.read(document.text_sha256, start, end)
        return TextRange(data, start, total)

    async def chunks(
        self, principal: Principal, name: DocumentName, *, page_size: int, page_token: str
    ) -> ChunkPage:
        """A page of a document's chunks by ordinal."""
        tokens = await self._parts.page_tokens()
        listing = ("chunks", str(name))
        first = int(tokens.read(page_token, listing=listing) or 0)
        collection, live = await self._find(principal, name)
        ordinals = range(first, min(first + page_size, live.document.chunk_count))
        chunks = await self._chunks(collection, live, ordinals)
        more = ordinals.stop < live.document.chunk_count
        return ChunkPage(
            live.document,
            collection.index.config.splitting,
            chunks,
            tokens.make(str(ordinals.stop), listing=listing) if more else "",
        )

    async def _chunks(
        self, collection: Collection, live: LiveDocument, ordinals: range
    ) -> list[Chunk]:
        try:
            stored = await self._parts.vectors.get(
                collection.index.id, chunk_keys(live.version, ordinals)
            )
        except IndexMissing:
            stored = []
        if len(stored) != len(ordinals):
            raise Unavailable(
                f"{live.document.name} is just being replaced or deleted; ask again",
                reason=Reason.STORE_UNAVAILABLE,
                retry_after_s=1.0,
            )
        return sorted((item.chunk for item in stored), key=lambda chunk: chunk.span.ordinal)

    async def _find(
        self, principal: Principal, name: DocumentName
    ) -> tuple[Collection, LiveDocument]:
        async with self._parts.database.reading() as connection:
            collection = await found_collection(connection, name.parent)
            live = await rows.find(
                connection, collection, name.document, labels=labels_of(principal)
            )
        if live is None:
            raise no_document(name)
        return collection, live
