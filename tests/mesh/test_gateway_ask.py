"""A question through the gateway: events, citations, refusals, and what is wrong behind it."""

import asyncio
import socket
import time
from typing import Any

import pytest

from groundmesh.channel import translated
from groundmesh.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Reason,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from groundmesh.prompting import CONSTANT_MESSAGES
from groundmesh.testing import running
from groundmesh.v1 import common_pb2, embedder_pb2, gateway_pb2, generator_pb2, retriever_pb2
from groundmesh_gateway.ask import NO_ANSWER, NOTHING_FOUND
from groundmesh_generator.backends.base import EngineLoad
from tests.fakes.leaves import chunk
from tests.fakes.paced_generator import ANSWER, PacedBackend, paced_generator
from tests.mesh.gateway_mesh import (
    COLLECTION,
    NOWHERE,
    ask_request,
    gateway_mesh,
    text_of,
)
from tests.waiting import until


def kinds(events: list[gateway_pb2.AskResponse]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


async def until_first_delta(call: Any) -> None:
    async for event in call:
        if event.HasField("delta"):
            return


async def rest_of(call: Any) -> None:
    with translated("gateway"):
        async for _ in call:
            pass


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
        embed = mesh.embedder.last(embedder_pb2.EmbedRequest)
        search = mesh.retriever.last(retriever_pb2.SearchRequest)
        job = mesh.generator.jobs[-1]
    assert (embed.texts, embed.kind) == (["How?"], embedder_pb2.INPUT_KIND_QUERY)
    assert embed.priority == common_pb2.PRIORITY_BULK
    assert (search.collections, search.query_text) == ([COLLECTION], "How?")
    assert (search.limit, search.max_chunks_per_document) == (1, 2)
    assert (search.embedding_model, search.embedding_revision) == ("fake-embedder", "r1")
    assert search.query_vector.rows == 1
    assert (job.sampling.temperature, job.sampling.top_p, job.max_tokens) == (0.0, 0.5, 3)
    lefts = [*mesh.embedder.time_left, *mesh.retriever.time_left]
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
    ("found", "said"), [([], NOTHING_FOUND), ([chunk("Far away.", cosine=0.1)], NO_ANSWER)]
)
async def test_without_evidence_the_model_is_not_asked(found: list[Any], said: str) -> None:
    async with gateway_mesh(min_score=0.2) as mesh:
        mesh.retriever.chunks = found
        events = await mesh.ask()
    assert kinds(events) == ["sources", "delta", "final"]
    assert not events[0].sources.sources
    assert text_of(events) == said
    assert (events[-1].final.abstained, events[-1].final.model) == (True, "")
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
    words = sum(len(message.content.split()) + 2 for message in CONSTANT_MESSAGES)
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


async def test_a_question_without_room_for_passages_is_refused() -> None:
    async with gateway_mesh(generator=PacedBackend(context_tokens=300)) as mesh:
        with pytest.raises(InvalidArgument) as refused:
            await mesh.ask("why " * 2000)
    assert refused.value.reason is Reason.INPUT_TOO_LONG
    assert refused.value.fields[0].field == "question"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"collections": []}, "collections"),
        ({"collections": [COLLECTION] * 2}, "collections"),
        ({"collections": ["docs"]}, "collections[0]"),
        ({"question": ""}, "question"),
        ({"question": " \n"}, "question"),
        ({"question": "é" * 5000}, "question"),
        ({"model": "m" * 2000}, "model"),
        ({"priority": 9}, "priority"),
        ({"retrieval": gateway_pb2.RetrievalOptions(limit=-1)}, "retrieval.limit"),
        ({"retrieval": gateway_pb2.RetrievalOptions(limit=1001)}, "retrieval.limit"),
        (
            {"retrieval": gateway_pb2.RetrievalOptions(max_chunks_per_document=-1)},
            "retrieval.max_chunks_per_document",
        ),
        ({"retrieval": {"mode": 9}}, "retrieval.mode"),
        ({"retrieval": {"consistency": 9}}, "retrieval.consistency"),
        ({"sampling": {"temperature": 3}}, "sampling.temperature"),
        ({"sampling": {"temperature": float("nan")}}, "sampling.temperature"),
        ({"sampling": {"top_p": 0}}, "sampling.top_p"),
        ({"sampling": {"max_tokens": 0}}, "sampling.max_tokens"),
        ({"sampling": {"top_k": -1}}, "sampling.top_k"),
        ({"sampling": {"stop": [""]}}, "sampling.stop[0]"),
        ({"sampling": {"stop": ["x"] * 17}}, "sampling.stop"),
        ({"sampling": {"n": 0}}, "sampling.n"),
    ],
)
async def test_bad_fields_are_named(fields: dict[str, Any], field: str) -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(InvalidArgument) as refused:
            await mesh.ask(**fields)
        assert not mesh.embedder.requests
    assert [each.field for each in refused.value.fields] == [field]


async def test_all_bad_fields_are_named_at_once() -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(InvalidArgument) as refused:
            await mesh.ask("", collections=[], retrieval={"limit": -1})
    assert [each.field for each in refused.value.fields] == [
        "collections",
        "question",
        "retrieval.limit",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"history": [{"role": generator_pb2.ROLE_USER, "content": "Hi"}]},
        {"retrieval": {"rerank": True}},
        {"sampling": {"n": 2}},
        {"sampling": {"logprobs": 1}},
        {"sampling": {"structured_output": {"regex": "a"}}},
    ],
)
async def test_what_is_not_built_says_so(fields: dict[str, Any]) -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(Unimplemented) as refused:
            await mesh.ask(**fields)
    assert refused.value.reason is Reason.NOT_BUILT_YET


async def test_another_tenant_is_refused() -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(PermissionDenied) as refused:
            await mesh.ask(collections=["tenants/other/collections/docs"])
    assert refused.value.reason is Reason.TENANT_MISMATCH


async def test_errors_of_the_leaves_pass_through() -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(NotFound) as unknown_model:
            await mesh.ask(model="other")
        mesh.retriever.raises = FailedPrecondition("two models", reason=Reason.MODEL_MISMATCH)
        with pytest.raises(FailedPrecondition) as mismatch:
            await mesh.ask()
        mesh.retriever.raises = InvalidArgument.of_field("filter.comparison.field", "is bad")
        with pytest.raises(InvalidArgument) as bad_filter:
            await mesh.ask()
        mesh.embedder.raises = ResourceExhausted("the queue is full", retry_after_s=2.5)
        with pytest.raises(ResourceExhausted) as busy:
            await mesh.ask()
    assert unknown_model.value.reason is Reason.MODEL_NOT_FOUND
    assert mismatch.value.reason is Reason.MODEL_MISMATCH
    assert bad_filter.value.fields[0].field == "retrieval.filter.comparison.field"
    assert busy.value.message == "embedder: the queue is full"
    assert (busy.value.reason, busy.value.retry_after_s) == (Reason.OVERLOADED, 2.5)
    assert busy.value.metadata["service"] == "embedder"


@pytest.mark.parametrize("away", ["embedder", "retriever", "generator"])
async def test_a_service_that_is_away_is_named_at_once(away: str) -> None:
    async with gateway_mesh(addresses={away: NOWHERE}) as mesh:
        began = time.monotonic()
        with pytest.raises(Unavailable) as failed:
            await mesh.ask()
    assert time.monotonic() - began < 5
    assert failed.value.reason is Reason.SERVICE_UNREACHABLE
    assert failed.value.message.startswith(f"the {away} at {NOWHERE} can't be reached; see that")


async def test_a_service_that_came_back_is_used_at_once() -> None:
    async with gateway_mesh() as mesh:
        await mesh.ask()
        port = await mesh.stop("generator")
        with pytest.raises(Unavailable):
            await mesh.ask()
        async with running(paced_generator(PacedBackend(repeat=False)), port=port):
            began = time.monotonic()
            while True:  # what `groundmesh ask` run again and again would see
                try:
                    await mesh.ask()
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)
            assert time.monotonic() - began < 10


async def test_a_generator_that_dies_in_the_middle() -> None:
    backend = PacedBackend(token_s=0.05)
    async with gateway_mesh(generator=backend) as mesh:
        call = mesh.stub.Ask(ask_request(), timeout=20)
        await until_first_delta(call)
        backend.die()
        with pytest.raises(Unavailable) as failed:
            await rest_of(call)
    assert failed.value.reason is Reason.ENGINE_DEAD
    assert failed.value.message == "generator: the engine died"


async def test_a_connection_that_breaks_in_the_middle() -> None:
    async with gateway_mesh(generator=PacedBackend(token_s=0.05)) as mesh:
        call = mesh.stub.Ask(ask_request(), timeout=20)
        await until_first_delta(call)
        await mesh.servers["generator"]._server.stop(None)
        with pytest.raises(Unavailable) as failed:
            await rest_of(call)
    assert failed.value.reason is Reason.SERVICE_UNREACHABLE
    assert "generator" in failed.value.message
    assert "Socket" not in failed.value.message


async def test_a_deadline_ends_the_work_everywhere() -> None:
    backend = PacedBackend(token_s=0.05)
    async with gateway_mesh(generator=backend) as mesh:
        with pytest.raises(DeadlineExceeded):
            await mesh.ask(timeout=0.5)
        await until(lambda: backend.load.running == 0)
        mesh.retriever.open.clear()
        with pytest.raises(DeadlineExceeded):
            await mesh.ask(timeout=0.3)
        mesh.retriever.open.set()


async def test_a_caller_that_leaves_frees_the_generator_at_once() -> None:
    backend = PacedBackend(token_s=0.05)
    async with gateway_mesh(generator=backend) as mesh:
        call = mesh.stub.Ask(ask_request(), timeout=20)
        await until_first_delta(call)
        assert backend.load.running == 1
        call.cancel()
        began = time.monotonic()
        await until(lambda: backend.load.running == 0)
        assert time.monotonic() - began < 3


async def test_two_hundred_at_once_with_half_cancelled_leave_nothing() -> None:
    backend = PacedBackend(token_s=0.01, repeat=False, max_running=16)
    async with gateway_mesh(
        generator=backend, max_concurrent_calls=64, max_queued_calls=256
    ) as mesh:
        await mesh.ask()  # from now on the health of every leaf is watched
        tasks_before = len(asyncio.all_tasks())
        results = await asyncio.gather(
            *(_ask_or_leave(mesh.stub, number) for number in range(200)), return_exceptions=True
        )
        assert [result for result in results if isinstance(result, BaseException)] == []
        assert results.count("answered") == 100
        await until(lambda: backend.load == EngineLoad(0, 0))
        await until(lambda: len(asyncio.all_tasks()) <= tasks_before)


async def _ask_or_leave(stub: Any, number: int) -> str:
    call = stub.Ask(ask_request(f"Question {number}?"), timeout=60)
    if number % 2:
        await asyncio.sleep(number * 0.003)
        call.cancel()
        return "left"
    events = [event async for event in call]
    assert events[-1].HasField("final")
    return "answered"


async def test_another_model_after_a_restart_is_noticed() -> None:
    async with gateway_mesh() as mesh:
        await mesh.ask()
        port = await mesh.stop("generator")
        with pytest.raises(Unavailable):
            await mesh.ask()
        small = PacedBackend(repeat=False, context_tokens=64)
        async with running(paced_generator(small), port=port):
            await asyncio.sleep(2.5)  # reconnected
            with pytest.raises(InvalidArgument) as refused:
                await mesh.ask()
    assert "(64)" in refused.value.message


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


async def test_the_other_role_is_named() -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(Unimplemented, match="role ingest"):
            await rest_of(mesh.stub.Ingest(iter([])))


async def test_peers_are_told_whether_they_can_be_reached() -> None:
    async with gateway_mesh(addresses={"retriever": NOWHERE}) as mesh:
        began = time.monotonic()
        info = await mesh.server_info()
        assert time.monotonic() - began < 5
    peers = {peer.service: peer for peer in info.peers}
    assert list(peers) == ["embedder", "retriever", "generator", "trainer"]
    assert peers["embedder"].server.ready
    assert (peers["embedder"].address, peers["embedder"].error) == (
        mesh.servers["embedder"].address,
        "",
    )
    assert not peers["retriever"].HasField("server")
    assert "can't be reached" in peers["retriever"].error
    assert list(peers["generator"].server.models) == ["paced"]


async def test_a_peer_that_hangs_costs_a_second_at_most() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and says nothing
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with gateway_mesh(addresses={"embedder": address}) as mesh:
            began = time.monotonic()
            info = await mesh.server_info()
            assert time.monotonic() - began < 5
    assert info.peers[0].error
    assert info.peers[1].server.ready
