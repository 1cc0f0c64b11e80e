"""What all streams of documents share: the parse workers and a bound on bytes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence

from groundmesh.errors import Internal
from groundmesh_gateway.ingestion.batching import EmbeddingBatcher
from groundmesh_gateway.ingestion.budget import Budget
from groundmesh_gateway.ingestion.model import (
    DocumentStore,
    Embedder,
    Matrix,
    Step,
    Target,
)
from groundmesh_gateway.ingestion.options import IngestOptions
from groundmesh_gateway.ingestion.patience import Patience
from groundmesh_gateway.ingestion.pipeline import Pipeline
from groundmesh_gateway.ingestion.rebuilding import Bounds, Rebuild, Shadow, Size
from groundmesh_gateway.ingestion.rebuilding import Emit as EmitBuilt
from groundmesh_gateway.ingestion.receiving import Receiver
from groundmesh_gateway.ingestion.run import Emit, IngestRun
from groundmesh_gateway.ingestion.splitting_again import ChunkMaker, Embed
from groundmesh_gateway.preparing import Job
from groundmesh_gateway.splitting import Splitting
from groundmesh_gateway.workers import TokenizerFile, WorkerPool

_LOOKUPS = 8
"""Documents of one stream that the retriever is asked about at a time."""

_TEST_TEXT = b"# Ready?\n\nSomething to parse, and to split in two.\n"
_TEST_TOKENIZER = b"""{
  "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
  "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
  "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}
}"""


class IngestEngine:
    """Runs streams of documents."""

    def __init__(self, options: IngestOptions) -> None:
        """Nothing is started yet."""
        self.options = options
        self._pool = WorkerPool(options.parse_workers, options.worker)
        self._in_hand = Budget(options.bytes_in_hand)
        self._streams = 0

    async def start(self) -> None:
        """Have a worker really parse and split something."""
        job = Job(
            uri="ready.md",
            media_type="",
            title="",
            splitting=Splitting(max_tokens=10, overlap_tokens=0),
            passage_prompt="",
            model_tokens=10,
            max_text_bytes=len(_TEST_TEXT),
        )
        tokenizer = TokenizerFile(_TEST_TOKENIZER, hashlib.sha256(_TEST_TOKENIZER).hexdigest())
        prepared = await self._pool.prepare(job, _TEST_TEXT, tokenizer)
        if (prepared.title, prepared.chunk_count) != ("Ready?", 2):
            raise Internal("the parse worker did not split the test document as it must")

    async def check(self) -> None:
        """Raise when no worker can be started any more."""
        self._pool.check()

    async def stop(self) -> None:
        """Kill the workers."""
        await self._pool.close()

    def load(self) -> Mapping[str, float]:
        """Present figures by name."""
        return {
            "ingest_streams": self._streams,
            "ingest_bytes_in_hand": self._in_hand.used,
            "parse_workers_busy": self._pool.busy,
            "parse_documents_waiting": self._pool.waiting,
        }

    async def run(
        self,
        steps: AsyncIterator[Step],
        *,
        target: Target,
        embedder: Embedder,
        store: DocumentStore,
        emit: Emit,
    ) -> None:
        """Take the documents of one stream into ``target`` and tell of each."""
        options = self.options
        run = IngestRun(
            self._pipeline(target, embedder, store),
            Receiver(self._in_hand, max_document_bytes=options.max_document_bytes),
            documents_in_hand=options.documents_in_hand,
            emit=emit,
        )
        self._streams += 1
        try:
            await run.run(steps, embed_calls=options.embed_calls)
        finally:
            self._streams -= 1

    async def rebuild(
        self, shadow: Shadow, *, target: Target, embedder: Embedder, size: Size, emit: EmitBuilt
    ) -> None:
        """Fill a shadow index with what it lacks, and tell of it."""
        options = self.options
        batcher = self._batcher(embedder)

        async def embed(texts: Sequence[str]) -> Matrix:
            return await (await batcher.order(texts))

        rebuild = Rebuild(
            shadow,
            self.chunk_maker(target, embed),
            Patience(options.patience_s),
            Bounds(options.documents_in_hand, self._in_hand),
            size=size,
            emit=emit,
        )
        self._streams += 1
        try:
            async with asyncio.TaskGroup() as helpers:
                embedding = [
                    helpers.create_task(batcher.work()) for _ in range(options.embed_calls)
                ]
                await rebuild.run()
                for helper in embedding:
                    helper.cancel()
        finally:
            self._streams -= 1

    def chunk_maker(self, target: Target, embed: Embed) -> ChunkMaker:
        """What splits kept texts for a target."""
        options = self.options
        return ChunkMaker(
            target,
            self._pool,
            embed,
            batch_texts=options.embed_batch_texts,
            batches_ahead=options.embed_calls,
        )

    def _batcher(self, embedder: Embedder) -> EmbeddingBatcher:
        options = self.options
        texts_under_way = options.embed_batch_texts * options.embed_calls
        return EmbeddingBatcher(
            embedder,
            patience=Patience(options.patience_s),
            batch_texts=options.embed_batch_texts,
            max_texts=2 * texts_under_way,  # so that the next calls are full at once
        )

    def _pipeline(self, target: Target, embedder: Embedder, store: DocumentStore) -> Pipeline:
        options = self.options
        return Pipeline(
            target=target,
            workers=self._pool,
            batcher=self._batcher(embedder),
            store=store,
            store_patience=Patience(options.patience_s),
            lookups=Budget(_LOOKUPS),
            batch_texts=options.embed_batch_texts,
            batches_ahead=options.embed_calls,
            max_text_bytes=options.worker.max_text_bytes,
        )
