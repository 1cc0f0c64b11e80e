"""Reranked searches through the gateway and the real embedder, on a fake engine and retriever."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from groundmesh.testing import running
from groundmesh.v1 import gateway_pb2
from groundmesh_embedder.core import Embedder, EmbedderOptions
from groundmesh_embedder.servicer import embedder_service
from tests.fakes.embedding import FakeEmbeddingBackend
from tests.fakes.leaves import chunk
from tests.mesh.gateway_mesh import COLLECTION, GatewayMesh, gateway_mesh
from tests.waiting import until

TEXTS = ["nothing of it", "one sour thing", "sour green apples"]
QUERY = "green sour apples"


@asynccontextmanager
async def mesh_with(
    backend: FakeEmbeddingBackend, *, reranker: str | None = "judge"
) -> AsyncIterator[tuple[GatewayMesh, Embedder]]:
    embedder = Embedder("fake", lambda: backend, EmbedderOptions("tiny", reranker=reranker))
    service = embedder_service(embedder, stream_in_flight=4)
    async with (
        running(service) as server,
        gateway_mesh(addresses={"embedder": server.address}) as mesh,
    ):
        mesh.retriever.chunks = [
            chunk(text, start_byte=100 * index) for index, text in enumerate(TEXTS)
        ]
        yield mesh, embedder


def request() -> gateway_pb2.GatewayServiceSearchRequest:
    return gateway_pb2.GatewayServiceSearchRequest(
        collections=[COLLECTION],
        query=QUERY,
        retrieval=gateway_pb2.RetrievalOptions(rerank=True),
    )


async def test_the_embedders_scores_are_the_order() -> None:
    async with mesh_with(FakeEmbeddingBackend()) as (mesh, _):
        response = await mesh.stub.Search(request(), timeout=10)
    assert not response.degraded
    assert [each.chunk.text for each in response.chunks] == TEXTS[::-1]
    assert [round(each.rerank_score, 2) for each in response.chunks] == [1.0, 0.33, 0.0]


async def test_an_embedder_without_a_cross_encoder_says_how_to_give_it_one() -> None:
    async with mesh_with(FakeEmbeddingBackend(), reranker=None) as (mesh, _):
        response = await mesh.stub.Search(request(), timeout=10)
    assert [each.chunk.text for each in response.chunks] == TEXTS
    assert "groundmesh up --rerank-model" in response.degraded[0]


async def test_a_caller_that_leaves_takes_its_pairs_out_of_the_embedders_queue() -> None:
    backend = FakeEmbeddingBackend()
    async with mesh_with(backend) as (mesh, embedder):
        await mesh.stub.Search(request(), timeout=10)
        batches = len(backend.batches)
        backend.hold()
        first = mesh.stub.Search(request(), timeout=20)
        await until(lambda: len(backend.batches) > batches)
        second = mesh.stub.Search(request(), timeout=20)
        await until(lambda: embedder.describe().load["queued_texts"] > 0)
        second.cancel()
        await until(lambda: embedder.describe().load["queued_texts"] == 0)
        backend.release()
        assert len((await first).chunks) == 3
