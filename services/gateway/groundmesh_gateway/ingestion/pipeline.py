"""The way of one document: is it known already? Parse and split, embed, write."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Self
from urllib.parse import unquote

from groundmesh_gateway.ingestion.batching import EmbeddingBatcher
from groundmesh_gateway.ingestion.budget import Budget
from groundmesh_gateway.ingestion.model import (
    Description,
    DocumentDone,
    DocumentStore,
    EmbeddedChunks,
    KnownDocument,
    Matrix,
    NewDocument,
    Outcome,
    Target,
)
from groundmesh_gateway.ingestion.patience import Patience
from groundmesh_gateway.preparing import Chunk, Job, Prepared
from groundmesh_gateway.workers import WorkerPool

_MAX_TITLE_BYTES = 1024


@dataclass(frozen=True)
class Received:
    """A document that has arrived whole."""

    description: Description
    data: bytes
    sha256: str


@dataclass(frozen=True)
class Pipeline:
    """The stages of one stream; each document goes through by itself, many at a time."""

    target: Target
    workers: WorkerPool
    batcher: EmbeddingBatcher
    store: DocumentStore
    store_patience: Patience
    lookups: Budget
    """Bounds how many documents are looked up at a time."""
    batch_texts: int
    batches_ahead: int
    """Batches of one document that are embedded before the first of them is written."""
    max_text_bytes: int

    async def known(self, document: Received) -> DocumentDone | None:
        """What to answer when just this document is there already."""
        uri = document.description.uri
        async with self.lookups.holding(1):
            there = await self.store_patience.call(lambda: self.store.find(uri))
        if there is None or not _same(there, document):
            return None
        return DocumentDone(uri, Outcome.UNCHANGED, there.chunk_count, there.name)

    async def prepared(self, document: Received) -> Prepared:
        """The document's text and chunks, made in a worker process."""
        job = Job(
            uri=document.description.uri,
            media_type=document.description.media_type,
            title=_cut(document.description.title),
            splitting=self.target.splitting,
            passage_prompt=self.target.passage_prompt,
            model_tokens=self.target.model_tokens,
            max_text_bytes=self.max_text_bytes,
        )
        return await self.workers.prepare(job, document.data, self.target.tokenizer)

    async def index(
        self, new: NewDocument, prepared: Prepared, *, count: Callable[[int], None]
    ) -> DocumentDone:
        """Embed and write; both again when the store was away in between.

        ``count`` hears of chunks as the store takes them, and of them again, as less, when nothing
        has come of it.
        """

        async def attempt() -> DocumentDone:
            with _Taken(count) as taken:
                async with aclosing(self._embedded(prepared)) as parts:
                    # Only what has vectors may take the store's time.
                    first = await anext(parts)
                    done = await self.store.write(new, taken.of(first, parts))
                taken.stay = done.outcome in {Outcome.INDEXED, Outcome.REPLACED}
            return done

        return await self.store_patience.call(attempt)

    async def _embedded(self, prepared: Prepared) -> AsyncGenerator[EmbeddedChunks, None]:
        """The chunks with their vectors, ordered a few batches ahead of who takes them."""
        ahead: deque[tuple[Sequence[Chunk], asyncio.Future[Matrix]]] = deque()
        try:
            for chunks in batches(prepared.chunks(), self.batch_texts):
                texts = [prepared.passage_of(chunk) for chunk in chunks]
                ahead.append((chunks, await self.batcher.order(texts)))
                if len(ahead) > self.batches_ahead:
                    yield await _first(ahead)
            while ahead:
                yield await _first(ahead)
        finally:
            for _, vectors in ahead:
                if not vectors.cancel():
                    vectors.exception()  # seen: the document has failed for another reason


async def _first(
    ahead: deque[tuple[Sequence[Chunk], asyncio.Future[Matrix]]],
) -> EmbeddedChunks:
    chunks, vectors = ahead[0]
    part = EmbeddedChunks(chunks, await vectors)
    ahead.popleft()
    return part


class _Taken:
    """Counts the chunks of one attempt to write a document as the store takes them."""

    def __init__(self, count: Callable[[int], None]) -> None:
        self._count = count
        self._chunks = 0
        self.stay = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.stay:
            self._count(-self._chunks)

    async def of(
        self, first: EmbeddedChunks, rest: AsyncIterator[EmbeddedChunks]
    ) -> AsyncIterator[EmbeddedChunks]:
        yield first
        self._add(first)
        async for part in rest:
            yield part
            self._add(part)

    def _add(self, part: EmbeddedChunks) -> None:
        self._chunks += len(part.chunks)
        self._count(len(part.chunks))


def batches(chunks: Iterator[Chunk], size: int) -> Iterator[Sequence[Chunk]]:
    """The chunks, so many at a time."""
    while batch := tuple(islice(chunks, size)):
        yield batch


def described(document: Received, prepared: Prepared) -> NewDocument:
    """The document with what was found out about it."""
    given = document.description
    title = given.title or prepared.title or _name_of(given.uri)
    return NewDocument(
        description=replace(given, title=_cut(title), media_type=prepared.media_type),
        content_sha256=document.sha256,
        content_bytes=len(document.data),
        text=prepared.text,
        outline=prepared.outline,
        chunk_count=prepared.chunk_count,
    )


def _same(there: KnownDocument, document: Received) -> bool:
    """Whether ingesting it would change nothing. What the client left out was found out before."""
    old, new = there.description, document.description
    return (
        there.content_sha256 == document.sha256
        and new.title in {"", old.title}
        and new.media_type in {"", old.media_type}
        and set(new.reader_labels) == set(old.reader_labels)
        and _typed(new.metadata) == _typed(old.metadata)
    )


def _typed(metadata: Mapping[str, object]) -> Mapping[str, tuple[type, object]]:
    """With types, because ``True == 1.0``."""
    return {field: (type(value), value) for field, value in metadata.items()}


def _name_of(uri: str) -> str:
    return unquote(uri.rstrip("/").rpartition("/")[2]) or uri


def _cut(title: str) -> str:
    return title.encode()[:_MAX_TITLE_BYTES].decode(errors="ignore")
