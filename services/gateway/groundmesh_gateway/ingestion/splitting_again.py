"""Chunks of texts that are extracted already, for an index that they were not split for."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from groundmesh_gateway.ingestion.model import EmbeddedChunks, Matrix, Target
from groundmesh_gateway.ingestion.pipeline import batches
from groundmesh_gateway.preparing import Chunk, Job, Prepared
from groundmesh_gateway.workers import WorkerPool

Embed = Callable[[Sequence[str]], Awaitable[Matrix]]
"""A row for each passage; MeshError when there is none to be had."""


@dataclass(frozen=True)
class KeptText:
    """The text of a document with the outline that was kept beside it."""

    uri: str
    media_type: str
    text: bytes
    outline: bytes


@dataclass(frozen=True)
class ChunkMaker:
    """Splits kept texts in the worker processes and embeds the chunks."""

    target: Target
    workers: WorkerPool
    embed: Embed
    batch_texts: int
    batches_ahead: int
    """Batches of one document that are embedded before the first of them is taken."""

    async def prepared(self, kept: KeptText) -> Prepared:
        """The chunks, just as if the document were taken in now."""
        job = Job(
            uri=kept.uri,
            media_type=kept.media_type,
            title="",
            splitting=self.target.splitting,
            passage_prompt=self.target.passage_prompt,
            model_tokens=self.target.model_tokens,
            max_text_bytes=len(kept.text),
            kept_text_bytes=len(kept.text),
        )
        return await self.workers.prepare(job, kept.text + kept.outline, self.target.tokenizer)

    async def embedded(self, prepared: Prepared) -> AsyncGenerator[EmbeddedChunks, None]:
        """The chunks with their vectors, in order."""
        ahead: deque[tuple[Sequence[Chunk], asyncio.Future[Matrix]]] = deque()
        try:
            for chunks in batches(prepared.chunks(), self.batch_texts):
                passages = [prepared.passage_of(chunk) for chunk in chunks]
                ahead.append((chunks, asyncio.ensure_future(self.embed(passages))))
                if len(ahead) > self.batches_ahead:
                    yield EmbeddedChunks(ahead[0][0], await ahead[0][1])
                    ahead.popleft()
            while ahead:
                yield EmbeddedChunks(ahead[0][0], await ahead[0][1])
                ahead.popleft()
        finally:
            left = [vectors for _, vectors in ahead]
            for vectors in left:
                vectors.cancel()
            await asyncio.gather(*left, return_exceptions=True)
