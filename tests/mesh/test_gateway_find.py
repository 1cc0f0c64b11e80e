"""Reranking, diversity and merging through the gateway: what is asked, and what is done without."""

import asyncio
from typing import Any

import pytest

from groundmesh.channel import translated
from groundmesh.errors import DeadlineExceeded, ResourceExhausted, Unavailable
from groundmesh.v1 import (
    common_pb2,
    document_pb2,
    embedder_pb2,
    gateway_pb2,
    generator_pb2,
    retriever_pb2,
)
from tests.fakes.leaves import chunk
from tests.mesh.gateway_mesh import COLLECTION, NOWHERE, GatewayMesh, ask_request, gateway_mesh
from tests.waiting import until

TEXT = "Äpfel are sour.\n\nThey grow on trees. Pears do, too."
APPLES, GROW, PEARS = "Äpfel are sour.", "They grow on trees.", "Pears do, too."


def cut() -> list[retriever_pb2.ScoredChunk]:
    """TEXT in chunks, in another order than it has them."""
    order = (GROW, PEARS, APPLES)
    return [
        chunk(
            text,
            start_byte=len(TEXT[: TEXT.index(text)].encode()),
            ordinal=(APPLES, GROW, PEARS).index(text),
            cosine=0.3 + index / 10,
        )
        for index, text in enumerate(order)
    ]


async def search(mesh: GatewayMesh, *, timeout: float = 10, **retrieval: Any) -> Any:
    options = gateway_pb2.RetrievalOptions(**retrieval)
    request = gateway_pb2.GatewayServiceSearchRequest(
        collections=[COLLECTION], query="sour", retrieval=options
    )
    with translated("gateway"):
        return await mesh.stub.Search(request, timeout=timeout)


def texts(response: gateway_pb2.GatewayServiceSearchResponse) -> list[str]:
    return [each.chunk.text for each in response.chunks]


async def test_reranked_chunks_come_by_the_scores_of_the_cross_encoder() -> None:
    async with gateway_mesh() as mesh:
        mesh.retriever.chunks = cut()
        mesh.embedder.score = len
        response = await search(mesh, rerank=True, limit=2)
        asked = mesh.embedder.last(embedder_pb2.RerankRequest)
        searched = mesh.retriever.last(retriever_pb2.SearchRequest)
    context = "Guide > Setup > Linux\n"  # which a chunk alone does not say
    assert asked.query == "sour"
    assert list(asked.passages) == [context + text for text in (GROW, PEARS, APPLES)]
    assert asked.priority == common_pb2.PRIORITY_INTERACTIVE
    assert (searched.limit, searched.with_vectors) == (50, False)
    assert texts(response) == [GROW, APPLES]
    scores = [len(context + text) for text in (GROW, APPLES)]
    assert [each.rerank_score for each in response.chunks] == scores
    assert [each.score for each in response.chunks] == scores
    assert response.chunks[1].dense_score == pytest.approx(0.5)
    assert [each.stage for each in response.timings] == [
        gateway_pb2.STAGE_EMBED,
        gateway_pb2.STAGE_SEARCH,
        gateway_pb2.STAGE_RERANK,
        gateway_pb2.STAGE_TOTAL,
    ]
    assert not response.degraded


async def test_an_answer_is_made_from_what_was_reranked() -> None:
    async with gateway_mesh() as mesh:
        mesh.retriever.chunks = cut()
        mesh.embedder.score = len
        events = await mesh.ask(retrieval={"rerank": True, "limit": 2})
    assert [each.chunk.chunk.text for each in events[0].sources.sources] == [GROW, APPLES]
    citations = [event.citation for event in events if event.HasField("citation")]
    assert citations[1].quote == APPLES
    assert (citations[1].start_byte, citations[1].end_byte) == (0, len(APPLES.encode()))
    stages = [each.stage for each in events[-1].final.timings]
    assert stages.index(gateway_pb2.STAGE_RERANK) == stages.index(gateway_pb2.STAGE_PROMPT) - 1


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (None, "the embedder has no cross-encoder"),
        (ResourceExhausted("the queue is full", retry_after_s=3), "has too much to do"),
        (Unavailable("it is being restarted"), "embedder: it is being restarted"),
    ],
)
async def test_a_cross_encoder_that_fails_does_not_cost_the_answer(error: Any, why: str) -> None:
    async with gateway_mesh() as mesh:
        mesh.embedder.fails_to_rerank = error
        response = await search(mesh, rerank=True)
        events = await mesh.ask(retrieval={"rerank": True})
    assert len(response.chunks) == 2
    for degraded in (response.degraded, events[-1].final.degraded):
        (note,) = degraded
        assert note.startswith("not reranked: ")
        assert why in note
    assert events[-1].final.finish_reason == generator_pb2.FINISH_REASON_STOP


async def test_an_embedder_that_is_away_costs_only_the_reranking_of_a_sparse_search() -> None:
    async with gateway_mesh(addresses={"embedder": NOWHERE}) as mesh:
        sparse = {"mode": retriever_pb2.SEARCH_MODE_SPARSE, "rerank": True}
        response = await search(mesh, **sparse)
    assert len(response.chunks) == 2
    assert "can't be reached" in response.degraded[0]


async def test_a_cross_encoder_that_hangs_leaves_time_for_the_answer() -> None:
    async with gateway_mesh() as mesh:
        mesh.embedder.score = len
        mesh.embedder.reranking.clear()
        events = await mesh.ask(retrieval={"rerank": True}, timeout=2)
        assert events[-1].final.degraded == ["not reranked: the cross-encoder took too long"]
        assert (mesh.embedder.time_left[-1] or 2.0) < 1.1  # of the two seconds
        mesh.embedder.reranking.set()


async def test_a_caller_that_leaves_ends_the_reranking() -> None:
    async with gateway_mesh() as mesh:
        mesh.embedder.score = len
        mesh.embedder.reranking.clear()
        call = mesh.stub.Ask(ask_request(retrieval={"rerank": True}), timeout=20)
        reading = asyncio.ensure_future(call.read())
        await until(lambda: mesh.embedder.waiting == 1)
        call.cancel()
        await asyncio.wait([reading])
        await until(lambda: mesh.embedder.waiting == 0)
        assert not mesh.embedder.reranking.is_set()


async def test_a_deadline_that_passes_while_reranking_is_the_callers() -> None:
    async with gateway_mesh() as mesh:
        mesh.retriever.open.clear()
        with pytest.raises(DeadlineExceeded):
            await search(mesh, rerank=True, timeout=0.3)
        mesh.retriever.open.set()


async def test_diverse_passages_need_vectors() -> None:
    async with gateway_mesh() as mesh:
        mesh.retriever.chunks = cut()
        without = await search(mesh, diversity={"relevance_weight": 0.5})
        mesh.retriever.vectors = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
        response = await search(mesh, diversity={"relevance_weight": 0.5})
        searched = mesh.retriever.last(retriever_pb2.SearchRequest)
    assert searched.with_vectors
    assert texts(response) == [GROW, APPLES, PEARS]
    assert not response.degraded
    assert texts(without) == [GROW, PEARS, APPLES]
    assert without.degraded == ["not diversified: the retriever gave no vectors"]


async def test_neighbours_come_as_one_passage_of_exact_text() -> None:
    async with gateway_mesh() as mesh:
        mesh.retriever.chunks = cut()
        mesh.retriever.texts = {cut()[0].chunk.document: TEXT.encode()}
        (passage,) = (await search(mesh, merge_neighbors=True)).chunks
        events = await mesh.ask(retrieval={"merge_neighbors": True})
        read = mesh.retriever.last(document_pb2.GetDocumentTextRequest)
    assert passage.chunk.text == TEXT
    assert (passage.chunk.start_byte, passage.chunk.end_byte) == (0, len(TEXT.encode()))
    assert (passage.chunk.ordinal, passage.chunk.chunk_id) == (0, "chunk-0")
    assert passage.chunk.tokens == 0
    assert passage.score == pytest.approx(cut()[0].score)
    assert passage.dense_score == pytest.approx(0.5)
    assert (read.start_byte, read.end_byte) == (0, len(TEXT.encode()))
    (source,) = events[0].sources.sources
    assert source.chunk == passage


async def test_without_full_texts_neighbours_stay_apart() -> None:
    async with gateway_mesh() as mesh:
        mesh.retriever.chunks = cut()
        mesh.retriever.fails_to_read = Unavailable("the folder of texts is away")
        response = await search(mesh, merge_neighbors=True)
    assert texts(response) == [GROW, PEARS, APPLES]
    (note,) = response.degraded
    assert note.startswith("neighbouring chunks were left apart: the document's text can't be read")
    assert note.endswith("retriever: the folder of texts is away")


async def test_several_collections_and_fusion_are_passed_on() -> None:
    names = [f"{COLLECTION}{number}" for number in range(100)]
    fusion = {"weights": {"dense_weight": 0.25}}
    async with gateway_mesh() as mesh:
        await mesh.ask(collections=names, retrieval={"fusion": fusion})
        searched = mesh.retriever.last(retriever_pb2.SearchRequest)
        await mesh.ask()
        plain = mesh.retriever.last(retriever_pb2.SearchRequest)
    assert list(searched.collections) == names
    assert searched.fusion.weights.dense_weight == 0.25
    assert not plain.HasField("fusion")
