"""A search through the gateway, reranked by a real cross-encoder in a real embedder."""

import asyncio
from pathlib import Path

import pytest

from groundmesh.v1 import gateway_pb2
from tests.embedding_models import cross_encoder, minilm
from tests.fakes.leaves import chunk
from tests.mesh.gateway_mesh import COLLECTION, gateway_mesh
from tests.service_process import service_process

pytestmark = pytest.mark.e2e

QUERY = "Which fruit is sour?"
TEXTS = ["The sea is deep.", "Apples are sour.", "Trains are late.", "Pears are sweet."]
START_LIMIT_S = 120


async def test_a_search_is_ordered_by_a_real_cross_encoder(tmp_path: Path) -> None:
    judge = await asyncio.to_thread(cross_encoder, tmp_path / "judge")
    minilm()
    flags = ("--reranker", str(judge), "--dtype", "f32")
    async with service_process("groundmesh_embedder", *flags, folder=tmp_path) as embedder:
        address = await embedder.ready(within_s=START_LIMIT_S)
        async with gateway_mesh(addresses={"embedder": address}) as mesh:
            mesh.retriever.chunks = [
                chunk(text, start_byte=100 * index) for index, text in enumerate(TEXTS)
            ]
            request = gateway_pb2.GatewayServiceSearchRequest(
                collections=[COLLECTION],
                query=QUERY,
                retrieval=gateway_pb2.RetrievalOptions(rerank=True),
            )
            response = await mesh.stub.Search(request, timeout=60)
    expected = await asyncio.to_thread(scores_of, judge)
    assert not response.degraded
    given = {each.chunk.text: each.rerank_score for each in response.chunks}
    assert given == pytest.approx(expected, abs=1e-4)
    assert list(given) == sorted(given, key=lambda text: -given[text])


def scores_of(judge: Path) -> dict[str, float]:
    """What the library itself says."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(judge), device="cpu", local_files_only=True)
    pairs = [(QUERY, f"Guide > Setup > Linux\n{text}") for text in TEXTS]
    scores = model.predict(pairs, show_progress_bar=False)
    return dict(zip(TEXTS, map(float, scores), strict=True))
