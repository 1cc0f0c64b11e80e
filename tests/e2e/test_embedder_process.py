"""The embedder as a process, with real models."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from groundmesh.channel import open_channel, translated
from groundmesh.v1.embedder_pb2 import (
    INPUT_KIND_PASSAGE,
    INPUT_KIND_QUERY,
    EmbedderServiceGetTokenizerRequest,
    EmbedderServiceListModelsRequest,
    EmbedRequest,
    EmbedStreamRequest,
    RerankRequest,
)
from groundmesh.v1.embedder_pb2_grpc import EmbedderServiceStub
from groundmesh.v1.mesh_pb2 import GetServerInfoRequest
from groundmesh.v1.mesh_pb2_grpc import MeshServiceStub
from tests.embedding_models import cross_encoder, minilm
from tests.service_process import service_process

if TYPE_CHECKING:  # the stubs' asyncio side is in their types only
    from groundmesh.v1.embedder_pb2_grpc import EmbedderServiceAsyncStub
    from groundmesh.v1.mesh_pb2_grpc import MeshServiceAsyncStub

pytestmark = pytest.mark.e2e

MODULE = "groundmesh_embedder"
START_LIMIT_S = 120
"""Mostly the imports of sentence-transformers, which other tests may slow down."""


def passages(count: int, *, seed: int = 1) -> list[str]:
    pick = random.Random(seed)
    words = ["server", "index", "query", "token", "cache", "batch", "graph", "thread", "column"]
    return [" ".join(pick.choices(words, k=pick.randint(3, 120))) for _ in range(count)]


async def test_answers_many_clients_at_once_and_stops_well(tmp_path: Path) -> None:
    judge = await asyncio.to_thread(cross_encoder, tmp_path / "judge")
    minilm()
    async with service_process(MODULE, "--reranker", str(judge), folder=tmp_path) as service:
        address = await service.ready(within_s=START_LIMIT_S)
        async with open_channel(address) as channel:
            stub = EmbedderServiceStub(channel)
            with translated("embedder"):
                await many_clients(stub)
                await agrees_with_itself(stub)
                await reranks(stub)
                await describes_itself(stub)
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(service.process.wait(), 30) == 0


async def many_clients(stub: "EmbedderServiceAsyncStub") -> None:
    async def client(number: int) -> None:
        for text in passages(5, seed=number):
            request = EmbedRequest(texts=[text], kind=INPUT_KIND_QUERY)
            answer = await stub.Embed(request, timeout=60)
            assert answer.vectors.rows == 1

    async def bulk() -> AsyncIterator[EmbedStreamRequest]:
        for sequence in range(8):
            texts = passages(32, seed=100 + sequence)
            request = EmbedRequest(texts=texts, kind=INPUT_KIND_PASSAGE)
            yield EmbedStreamRequest(sequence=sequence, request=request)

    async def bulk_client() -> None:
        answers = [answer async for answer in stub.EmbedStream(bulk(), timeout=120)]
        assert sorted(answer.sequence for answer in answers) == list(range(8))
        assert all(answer.response.vectors.rows == 32 for answer in answers)

    await asyncio.gather(bulk_client(), *(client(number) for number in range(10)))


async def agrees_with_itself(stub: "EmbedderServiceAsyncStub") -> None:
    texts = passages(16)
    request = EmbedRequest(texts=texts, kind=INPUT_KIND_PASSAGE)
    together = await stub.Embed(request, timeout=60)
    rows = np.frombuffer(together.vectors.data, "<f4").reshape(16, -1)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    for row, text in zip(rows, texts, strict=True):
        alone = await stub.Embed(EmbedRequest(texts=[text], kind=INPUT_KIND_PASSAGE), timeout=60)
        assert np.frombuffer(alone.vectors.data, "<f4") @ row > 0.999


async def reranks(stub: "EmbedderServiceAsyncStub") -> None:
    answer = await stub.Rerank(RerankRequest(query="why?", passages=passages(10)), timeout=60)
    assert len({round(item.score, 6) for item in answer.items}) > 1
    assert all(np.isfinite(item.score) for item in answer.items)


async def describes_itself(stub: "EmbedderServiceAsyncStub") -> None:
    models = await stub.ListModels(EmbedderServiceListModelsRequest(), timeout=10)
    (model,) = models.embedding_models
    assert (model.model, model.dimension, model.max_input_tokens) == ("all-MiniLM-L6-v2", 384, 256)
    assert len(model.revision) >= 8
    assert models.reranker_models[0].model == "judge"
    handed = await stub.GetTokenizer(EmbedderServiceGetTokenizerRequest(), timeout=10)
    assert handed.max_input_tokens == 256


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    memory: int
    threads: int
    files: int


async def test_a_thousand_callers_who_leave_cost_nothing(tmp_path: Path) -> None:
    minilm()
    async with service_process(MODULE, folder=tmp_path) as service:
        address = await service.ready(within_s=START_LIMIT_S)
        async with open_channel(address) as channel:
            stub, mesh = EmbedderServiceStub(channel), MeshServiceStub(channel)
            process = psutil.Process(service.process.pid)
            await leave(stub, 300)
            before = await held(mesh, process)
            await leave(stub, 1000)
            after = await held(mesh, process)
            await agrees_with_itself(stub)
    assert after.threads <= before.threads
    assert after.files <= before.files
    # torch keeps kernels for each new shape of a batch: 360 MB more after 3,000 batches, less and
    # less of it. A thousand batches that nobody lets go of would be 700 MB.
    assert after.memory - before.memory < 160 * 1024 * 1024


async def leave(stub: "EmbedderServiceAsyncStub", count: int) -> None:
    """Call and go away at a random moment, 25 at a time."""
    pick, texts, at_once = random.Random(3), passages(200), asyncio.Semaphore(25)

    async def one() -> None:
        async with at_once:
            chosen = pick.sample(texts, 8)
            call = stub.Embed(EmbedRequest(texts=chosen, kind=INPUT_KIND_PASSAGE), timeout=60)
            await asyncio.sleep(pick.random() * 0.1)
            call.cancel()
            await asyncio.wait([asyncio.ensure_future(call.code())])

    await asyncio.gather(*(one() for _ in range(count)))


async def held(mesh: "MeshServiceAsyncStub", process: psutil.Process) -> Held:
    """What the embedder holds once nothing waits or runs in it."""

    async def idle() -> bool:
        answer = await mesh.GetServerInfo(GetServerInfoRequest(), timeout=10)
        return not any(answer.server.load.values())

    for _ in range(300):
        if await idle():
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("work was left behind")
    return Held(process.memory_info().rss, process.num_threads(), process.num_fds())
