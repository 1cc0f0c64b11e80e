"""A question through the gateway: events, citations, and what is asked of the leaves."""

from typing import Any

import pytest

from groundmesh.prompting import DEFAULT_TEMPLATE
from groundmesh.v1 import common_pb2, embedder_pb2, gateway_pb2, generator_pb2, retriever_pb2
from groundmesh_gateway.abstaining import Abstention, said_instead
from tests.fakes.leaves import chunk
from tests.fakes.paced_generator import ANSWER, PacedBackend
from tests.mesh.gateway_mesh import (
    COLLECTION,
    NOWHERE,
    gateway_mesh,
    text_of,
)


def kinds(events: list[gateway_pb2.AskResponse]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


async def test_sources_come_first_and_final_last() -> None:
    async with gateway_mesh() as mesh:
        events = await mesh.ask()
    assert kinds(events)[0] == "sources"
    assert kinds(events)[-1] == "final"
    assert set(kinds(events)[1:-1]) == {"delta", "citation"}
    sources = events[0].sources.sources
    assert [(each.number, each.chunk.title, each.truncated) for each in sources] == [
        (1, "Guide", False),
        (2, "Guide", False),
    ]
    final = events[-1].final
    assert (final.abstained, final.model) == (False, "paced")
    assert final.finish_reason == generator_pb2.FINISH_REASON_STOP
    assert final.usage.completion_tokens == len(ANSWER.split())
    assert final.mode == retriever_pb2.SEARCH_MODE_HYBRID
    assert [each.stage for each in final.timings] == [
        gateway_pb2.STAGE_EMBED,
        gateway_pb2.STAGE_SEARCH,
        gateway_pb2.STAGE_PROMPT,
        gateway_pb2.STAGE_FIRST_TOKEN,
        gateway_pb2.STAGE_GENERATE,
        gateway_pb2.STAGE_CITE,
        gateway_pb2.STAGE_TOTAL,
    ]
    parts = [each.duration.ToNanoseconds() for each in final.timings]
    assert parts[-1] >= sum(parts[:-1]) > 0


async def test_citations_point_into_answer_and_source() -> None:
    async with gateway_mesh() as mesh:
        events = await mesh.ask()
    answer = text_of(events).encode()
    assert answer.decode().strip() == ANSWER.strip()
    first, second = [event.citation for event in events if event.HasField("citation")]
    assert first.kind == gateway_pb2.CITATION_KIND_MARKER
    claim = answer[first.answer_start_byte : first.answer_end_byte].decode()
    assert claim == "The passages say that grüne Äpfel 🍏 are sour"
    assert (first.source, first.quote) == (1, "Äpfel are sour.")
    assert (first.start_byte, first.end_byte) == (0, 16)
    assert (second.source, second.start_byte, second.end_byte) == (2, 20, 30)


async def test_a_marker_of_no_passage_is_removed_and_counted() -> None:
    async with gateway_mesh(generator=PacedBackend(answer="So [7] it is.", repeat=False)) as mesh:
        events = await mesh.ask()
    assert text_of(events).strip() == "So it is."
    assert events[-1].final.removed_citations == 1
    assert "citation" not in kinds(events)


async def test_what_is_asked_of_the_leaves() -> None:
    async with gateway_mesh() as mesh:
        await mesh.ask(
            "How?",
            retrieval=gateway_pb2.RetrievalOptions(limit=1, max_chunks_per_document=2),
            sampling=generator_pb2.Sampling(top_p=0.5, max_tokens=3),
            priority=common_pb2.PRIORITY_BULK,
            timeout=10,
        )
        embed = mesh.embedder.requests[0]
        search = mesh.retriever.last(retriever_pb2.SearchRequest)
        job = mesh.generator.jobs[-1]
    assert (embed.texts, embed.kind) == (["How?"], embedder_pb2.INPUT_KIND_QUERY)
    assert embed.priority == common_pb2.PRIORITY_BULK
    assert (search.collections, search.query_text) == ([COLLECTION], "How?")
    assert (search.limit, search.max_chunks_per_document) == (1, 2)
    assert (search.embedding_model, search.embedding_revision) == ("fake-embedder", "r1")
    assert search.query_vector.rows == 1
    assert (job.sampling.temperature, job.sampling.top_p, job.max_tokens) == (0.0, 0.5, 3)
    of_retriever = zip(mesh.retriever.requests, mesh.retriever.time_left, strict=True)
    lefts = [*mesh.embedder.time_left]  # what is kept for other questions has time of its own
    lefts += [left for each, left in of_retriever if isinstance(each, retriever_pb2.SearchRequest)]
    assert all(left is not None and 5 < left < 10.5 for left in lefts)  # grpc rounds it up


@pytest.mark.parametrize("own", [0, 1, 16])
async def test_an_answer_ends_where_the_prompt_would_go_on(own: int) -> None:
    stops = [f"stop {number}" for number in range(own)]
    backend = PacedBackend(answer="So it is.", repeat=False)
    async with gateway_mesh(generator=backend) as mesh:
        await mesh.ask(sampling=generator_pb2.Sampling(stop=stops))
        given = list(backend.jobs[-1].sampling.stop)
    assert given[:own] == stops
    assert given[own:] == ["\n\nQuestion:", "\n\nPassage 3:"][: 16 - own]


async def test_sparse_search_needs_no_embedder() -> None:
    async with gateway_mesh(addresses={"embedder": NOWHERE}) as mesh:
        sparse = gateway_pb2.RetrievalOptions(mode=retriever_pb2.SEARCH_MODE_SPARSE)
        events = await mesh.ask(retrieval=sparse)
    stages = [each.stage for each in events[-1].final.timings]
    assert gateway_pb2.STAGE_EMBED not in stages


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([], Abstention.NO_PASSAGE),
        ([chunk("Far away.", cosine=0.1)], Abstention.LOW_EVIDENCE),
    ],
)
async def test_without_evidence_the_model_is_not_asked(found: list[Any], why: Abstention) -> None:
    async with gateway_mesh(min_score=0.2) as mesh:
        mesh.retriever.chunks = found
        events = await mesh.ask()
    assert kinds(events) == ["sources", "delta", "final"]
    assert not events[0].sources.sources
    assert text_of(events) == said_instead(why)
    final = events[-1].final
    assert (final.abstained, final.model) == (True, "")
    assert gateway_pb2.Abstention.Name(final.abstention) == f"ABSTENTION_{why.name}"
    assert final.HasField("evidence") == bool(found)
    assert not mesh.generator.jobs[1:]  # the first is its warm-up


async def test_a_cut_question_and_a_degraded_search_are_told() -> None:
    async with gateway_mesh() as mesh:
        mesh.embedder.truncated = True
        mesh.retriever.degraded = ["no full text here"]
        events = await mesh.ask()
    first, second = events[-1].final.degraded
    assert "only its beginning was searched for" in first
    assert second == "no full text here"


async def test_passages_are_packed_into_the_window() -> None:
    words = sum(len(message.content.split()) + 2 for message in DEFAULT_TEMPLATE.constant_messages)
    long = chunk(" ".join(f"This is sentence {n}." for n in range(200)), start_byte=50)
    backend = PacedBackend(answer="So it is [1].", repeat=False, context_tokens=words + 200)
    async with gateway_mesh(generator=backend) as mesh:
        mesh.retriever.chunks = [long, chunk("Never sent.")]
        events = await mesh.ask(sampling=generator_pb2.Sampling(max_tokens=50))
    (source,) = events[0].sources.sources
    (citation,) = [event.citation for event in events if event.HasField("citation")]
    assert source.truncated
    assert long.chunk.text.startswith(citation.quote)
    assert (citation.start_byte, citation.end_byte) == (50, 50 + len(citation.quote))
    assert citation.end_byte < long.chunk.end_byte


async def test_search_gives_chunks_and_times() -> None:
    async with gateway_mesh() as mesh:
        request = gateway_pb2.GatewayServiceSearchRequest(collections=[COLLECTION], query="sour")
        response = await mesh.stub.Search(request, timeout=10)
        search = mesh.retriever.last(retriever_pb2.SearchRequest)
    assert [each.chunk.text for each in response.chunks] == ["Äpfel are sour.", "They grow."]
    assert search.limit == 10
    assert [each.stage for each in response.timings] == [
        gateway_pb2.STAGE_EMBED,
        gateway_pb2.STAGE_SEARCH,
        gateway_pb2.STAGE_TOTAL,
    ]
