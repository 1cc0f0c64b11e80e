"""A stream of documents from beginning to end, with stand-ins at every side of the pipeline."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import cast

import pytest

from groundmesh.errors import Reason
from groundmesh_gateway.ingestion.batching import EmbeddingBatcher
from groundmesh_gateway.ingestion.budget import Budget
from groundmesh_gateway.ingestion.model import (
    Description,
    DocumentDone,
    EmbeddedChunks,
    End,
    KnownDocument,
    Matrix,
    NewDocument,
    Outcome,
    Part,
    Progress,
    Step,
    Target,
)
from groundmesh_gateway.ingestion.patience import Patience
from groundmesh_gateway.ingestion.pipeline import Pipeline
from groundmesh_gateway.ingestion.receiving import Receiver
from groundmesh_gateway.ingestion.run import Emit, IngestRun
from groundmesh_gateway.preparing import Job, Prepared
from groundmesh_gateway.splitting import Splitting
from groundmesh_gateway.workers import TokenizerFile, WorkerPool
from tests.waiting import until

TARGET = Target(
    collection="tenants/default/collections/docs",
    splitting=Splitting(16, 0),
    model="model",
    revision="1",
    passage_prompt="",
    model_tokens=16,
    tokenizer=TokenizerFile(b"", ""),
)


def lines_of(text: bytes) -> bytes:
    """One chunk, as a worker tells of it."""
    return b'[0,%d,3,[],null,null,null,""]' % len(text)


class Workers:
    """Makes of each document one chunk; fails on some in a way that nobody thought of."""

    async def prepare(self, job: Job, data: bytes, _tokenizer: TokenizerFile) -> Prepared:
        if data == b"odd":
            raise ZeroDivisionError
        text = data[:4]
        return Prepared(text, "", "text/plain", 1, b"", lines_of(text))


class Embedder:
    async def embed(self, texts: Sequence[str]) -> Matrix:
        return Matrix(bytes(4 * len(texts)), len(texts), 1)


class Store:
    """Finds nothing; ``open`` cleared holds writes up."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.writing = 0

    async def find(self, uri: str) -> KnownDocument | None:
        return None

    async def write(
        self, document: NewDocument, parts: AsyncIterator[EmbeddedChunks]
    ) -> DocumentDone:
        self.writing += 1
        chunks = [chunk async for part in parts for chunk in part.chunks]
        await self.open.wait()
        return DocumentDone(document.description.uri, Outcome.INDEXED, len(chunks))


class Client:
    """Sends documents of ``size`` bytes, and counts how many were asked for."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = contents
        self.sent = 0
        self.told: list[DocumentDone] = []
        self.listens = asyncio.Event()
        self.listens.set()

    async def steps(self) -> AsyncIterator[Step]:
        for content in self.contents:
            yield Description(f"{self.sent}.txt")
            yield Part(content)
            yield End()
            self.sent += 1

    async def emit(self, event: DocumentDone | Progress) -> None:
        await self.listens.wait()
        if isinstance(event, DocumentDone):
            self.told.append(event)


class Bench:
    def __init__(self) -> None:
        self.in_hand = Budget(1 << 20)
        self.store = Store()

    async def run(self, client: Client) -> None:
        patience = Patience(0)
        pipeline = Pipeline(
            target=TARGET,
            workers=cast(WorkerPool, Workers()),
            batcher=EmbeddingBatcher(Embedder(), patience=patience, batch_texts=4, max_texts=8),
            store=self.store,
            store_patience=patience,
            lookups=Budget(2),
            batch_texts=4,
            batches_ahead=1,
            max_text_bytes=1000,
        )
        receiver = Receiver(self.in_hand, max_document_bytes=1 << 20)
        emit: Emit = client.emit
        run = IngestRun(pipeline, receiver, documents_in_hand=5, emit=emit)
        await run.run(client.steps(), embed_calls=2)


async def test_a_fault_of_ours_fails_one_document() -> None:
    client = Client(b"good", b"odd", b"fine")
    await Bench().run(client)
    outcomes = {done.uri: done for done in client.told}
    assert outcomes["1.txt"].outcome is Outcome.FAILED
    assert outcomes["1.txt"].error is not None
    assert outcomes["1.txt"].error.reason is Reason.INTERNAL_ERROR
    assert outcomes["0.txt"].outcome is outcomes["2.txt"].outcome is Outcome.INDEXED


async def test_a_client_that_does_not_listen_is_read_no_further() -> None:
    bench, client = Bench(), Client(*[b"text"] * 50)
    client.listens.clear()
    running = asyncio.create_task(bench.run(client))
    await until(lambda: bench.store.writing == 5)
    await asyncio.sleep(0.1)
    assert client.sent <= 5
    client.listens.set()
    await running
    assert len(client.told) == 50
    assert bench.in_hand.used == 0


async def test_only_text_and_chunks_of_a_document_stay_in_memory_once_it_is_parsed() -> None:
    bench, client = Bench(), Client(b"text" * 1000)
    bench.store.open.clear()
    running = asyncio.create_task(bench.run(client))
    await until(lambda: bench.store.writing)
    assert bench.in_hand.used == len(b"text") + len(lines_of(b"text"))
    bench.store.open.set()
    await running


@pytest.mark.parametrize("documents", [1, 3, 50])
async def test_a_cancelled_stream_has_nothing_in_hand(documents: int) -> None:
    bench, client = Bench(), Client(*[b"text"] * documents)
    bench.store.open.clear()
    running = asyncio.create_task(bench.run(client))
    await until(lambda: bench.store.writing)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.in_hand.used == 0
    assert client.told == []
