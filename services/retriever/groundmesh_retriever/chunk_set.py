"""The chunks of one version of a document in one index, on their way into the store."""

import asyncio
import secrets
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.chunk_context import context_of, in_context
from groundmesh.errors import InvalidArgument, Reason
from groundmesh.names import CollectionName, document_id
from groundmesh_retriever import analysis
from groundmesh_retriever.catalog import chunk_sets
from groundmesh_retriever.catalog.chunk_sets import Attempt
from groundmesh_retriever.catalog.documents import EVERYBODY
from groundmesh_retriever.draft_checks import cut
from groundmesh_retriever.model import Chunk, ChunkSpan, DocumentDraft, Index
from groundmesh_retriever.parts import Parts, chunk_keys, index_changed, lost_index, overtaken
from groundmesh_retriever.stores.base import ChunkWrite, IndexMissing, Vectors
from groundmesh_retriever.storing import Storing


@dataclass
class ChunkSet:
    """Chunks that nobody sees until the version is made live; ``begin`` notes it first."""

    parts: Parts
    collection: CollectionName
    _: KW_ONLY
    collection_uid: str
    index: Index
    draft: DocumentDraft
    storing: Storing
    version: str = field(default_factory=lambda: secrets.token_hex(16))
    count: int = 0
    _last_start: int = 0
    _reserved: int = 0
    """Chunks that the catalog was told of."""

    async def begin(self, connection: AsyncConnection, text_sha256: str) -> None:
        """Note the version, before anything of it is written."""
        attempt = self._attempt(text_sha256)
        await chunk_sets.begin(connection, attempt, chunk_count=self.count)
        self._reserved = self.count

    def take(self, spans: list[ChunkSpan], vectors: Vectors) -> None:
        """Count more chunks, before they are written or found to be there already."""
        self._check(spans, vectors)
        self.count += len(spans)

    async def write(self, text: bytes, spans: list[ChunkSpan], vectors: Vectors) -> None:
        """Write the chunks of ``text`` that were taken last, with their vectors."""
        if not spans:
            return
        if self._reserved < self.count:
            await self._reserve()
        first = self.count - len(spans)
        writes = await asyncio.to_thread(self._writes, text, spans, first)
        self._last_start = spans[-1].start_byte
        try:
            await self.storing.write(self.parts.vectors.upsert(self.index.id, writes, vectors))
        except IndexMissing as error:
            await self._explain_missing(error)

    async def _reserve(self) -> None:
        # Noted before it is done, so that the sweep knows what there may be.
        if not await self.parts.database.write(
            lambda connection: chunk_sets.reserve(connection, self.version, self.count)
        ):
            raise index_changed(self.draft.uri)
        self._reserved = self.count

    async def make_live(self, connection: AsyncConnection, *, moment: int) -> None:
        """Make it what readers of the index see."""
        if not await chunk_sets.make_live(connection, self.version, moment=moment):
            raise overtaken(self.draft.uri)

    async def give_up(self, connection: AsyncConnection, text_sha256: str) -> None:
        """Leave what was written to the sweep, unless it is live: an answer may get lost."""
        attempt = self._attempt(text_sha256)
        await chunk_sets.give_up(connection, attempt, chunk_count=self.count)

    def _attempt(self, text_sha256: str) -> Attempt:
        return Attempt(
            self.version,
            self.index.id,
            self.collection_uid,
            document_id(self.draft.uri),
            text_sha256=text_sha256,
        )

    async def _explain_missing(self, error: IndexMissing) -> None:
        async with self.parts.database.reading() as connection:
            if not await chunk_sets.is_pending(connection, self.version):
                raise index_changed(self.draft.uri) from error
        raise lost_index(self.collection) from error

    def _check(self, spans: list[ChunkSpan], vectors: Vectors) -> None:
        dimension = self.index.config.embedding.dimension
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

    def _writes(self, text: bytes, spans: list[ChunkSpan], first: int) -> list[ChunkWrite]:
        chunks = cut(text, spans, first=first, after=self._last_start)
        keys = chunk_keys(self.version, range(first, first + len(chunks)))
        analyze = analysis.analyzer(self.index.config.language)
        return [
            ChunkWrite(
                key=key,
                version=self.version,
                document=document_id(self.draft.uri),
                tenant=self.collection.tenant,
                reader_labels=self.draft.reader_labels or (EVERYBODY,),
                metadata=self.draft.metadata,
                chunk=chunk,
                terms=analysis.joined(analyze(_searchable(self.draft.title, chunk)))
                if self.index.full_text
                else None,
            )
            for key, chunk in zip(keys, chunks, strict=True)
        ]


def _searchable(title: str, chunk: Chunk) -> str:
    """A chunk's text in its context: words of a title are looked for in each of its chunks."""
    return in_context(context_of((title, *chunk.span.place.heading_path), chunk.text), chunk.text)
