"""The client's questions and searches, against a fake gateway behind the production chassis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from groundmesh.client import (
    Abstention,
    AllOf,
    AnyOf,
    ChatMessage,
    Citation,
    CitationKind,
    Client,
    Compare,
    Consistency,
    Coverage,
    Delta,
    Diversity,
    Final,
    FinishReason,
    MeshUnreachable,
    NoneOf,
    Operator,
    Place,
    RankFusion,
    Retrieval,
    Role,
    Sampling,
    SearchMode,
    Sources,
    Timeouts,
    Usage,
)
from groundmesh.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh.testing import running
from groundmesh.v1 import collection_pb2, gateway_pb2, generator_pb2, mesh_pb2, retriever_pb2
from tests.fakes.gateway import Memory, gateway_service
from tests.fakes.gateway_messages import TEXT, abstained
from tests.waiting import until

DOCS = "tenants/default/collections/docs"


@pytest.fixture
def memory() -> Memory:
    return Memory(collections={DOCS: collection_pb2.Collection(name=DOCS)})


@pytest.fixture
async def mesh(memory: Memory) -> AsyncIterator[Client]:
    async with running(gateway_service(memory)) as server, Client(server.address) as client:
        yield client


async def test_an_answer_comes_as_events_in_order(mesh: Client) -> None:
    events = [event async for event in mesh.ask("How long?", collection="docs")]
    kinds = [type(event) for event in events]
    assert kinds == [Sources, Delta, Delta, Citation, Final]  # and not the one it doesn't know
    sources, _, _, citation, final = events
    assert isinstance(sources, Sources)
    source = sources.sources[0]
    assert source.number == 1
    assert source.passage.chunk.text == TEXT
    assert source.passage.chunk.place == Place(("Terms", "Notice"), page=3)
    assert str(source.passage.chunk.place) == "page 3, Terms > Notice"
    assert source.passage.dense_score == 0.25
    assert source.passage.sparse_score is None
    assert citation == Citation(CitationKind.MARKER, 1, "three months", 121, 133, 0, 17, None)
    assert isinstance(final, Final)
    assert final.finish_reason is FinishReason.STOP
    assert final.usage == Usage(50, 5, 0)
    assert final.timings_ms == {"embed": 8.0, "total": 1900.0}
    assert (final.evidence, final.template) == (0.75, "default@1")
    assert final.coverage == Coverage(sentences=2, cited=1, marker=1)
    assert final.abstention is None


async def test_answer_gathers_the_events(mesh: Client) -> None:
    answer = await mesh.answer("How long?", collection="docs")
    assert answer.question == "How long?"
    assert answer.text == "Three months [1]."
    assert [source.number for source in answer.sources] == [1]
    assert [citation.source for citation in answer.citations] == [1]
    assert answer.final.model == "fake-model"


async def test_options_reach_the_mesh(mesh: Client, memory: Memory) -> None:
    languages = Compare("lang", Operator.IN, ["en", "de"])
    either = AnyOf([languages, NoneOf([Compare("x", Operator.EQUAL, [True])])])
    wanted = AllOf([Compare("year", Operator.GREATER, [2000]), either])
    retrieval = Retrieval(
        SearchMode.SPARSE,
        limit=7,
        max_chunks_per_document=2,
        filter=wanted,
        consistency=Consistency.STRONG,
        fusion=RankFusion(20),
        rerank=True,
        diversity=Diversity(0.0),
        merge_neighbors=True,
    )
    sampling = Sampling(temperature=0.0, seed=3, stop=["END"], max_tokens=20)
    await mesh.answer("q", collection="docs", model="m", retrieval=retrieval, sampling=sampling)
    request = memory.requests[0]
    assert list(request.collections) == [DOCS]
    assert request.model == "m"
    assert request.retrieval.mode == retriever_pb2.SEARCH_MODE_SPARSE
    assert request.retrieval.consistency == retriever_pb2.CONSISTENCY_STRONG
    assert (request.retrieval.limit, request.retrieval.max_chunks_per_document) == (7, 2)
    assert request.retrieval.fusion.ranks.constant == 20
    assert request.retrieval.HasField("diversity")
    assert request.retrieval.rerank
    assert request.retrieval.merge_neighbors
    assert request.sampling.temperature == 0.0
    assert request.sampling.HasField("temperature")
    assert not request.sampling.HasField("top_p")
    assert list(request.sampling.stop) == ["END"]
    year, sent_either = request.retrieval.filter.all_of.filters
    assert year.comparison.values[0].number_value == 2000
    sent_languages, none = sent_either.any_of.filters
    assert [value.string_value for value in sent_languages.comparison.values] == ["en", "de"]
    assert none.none_of.filters[0].comparison.values[0].bool_value is True


async def test_a_conversation_and_a_template_reach_the_mesh(mesh: Client, memory: Memory) -> None:
    memory.standalone_question = "How long is the notice of the contract?"
    said = [ChatMessage(Role.USER, "A contract?"), ChatMessage(Role.ASSISTANT, "Yes [1].")]
    answer = await mesh.answer("How long?", collection="docs", history=said, template="plain@2")
    assert answer.standalone_question == memory.standalone_question
    assert answer.final.template == "plain@2"
    sent = [(message.role, message.content) for message in memory.requests[0].history]
    roles = (generator_pb2.ROLE_USER, generator_pb2.ROLE_ASSISTANT)
    assert sent == [(roles[0], "A contract?"), (roles[1], "Yes [1].")]
    assert (await mesh.answer("How long?", collection="docs")).standalone_question == ""


@pytest.mark.parametrize("why", [each for each in Abstention if each is not Abstention.UNSPECIFIED])
async def test_why_a_question_was_not_answered(
    mesh: Client, memory: Memory, why: Abstention
) -> None:
    memory.final = abstained(gateway_pb2.Abstention.Value(f"ABSTENTION_{why}"))
    memory.final.ClearField("evidence")
    final = (await mesh.answer("q", collection="docs")).final
    assert final.abstained
    assert final.abstention is why
    assert final.evidence is None
    assert final.coverage == Coverage()


async def test_several_collections_are_named_in_short_or_in_full(
    mesh: Client, memory: Memory
) -> None:
    names = ["docs", "tenants/default/collections/wiki"]
    await mesh.answer("q", collection=names)
    await mesh.search("q", collection=names)
    assert [list(request.collections) for request in memory.requests] == [[DOCS, names[1]]] * 2


async def test_search_gives_values(mesh: Client) -> None:
    result = await mesh.search("notice", collection=DOCS)
    assert [passage.title for passage in result.passages] == ["Contract"]
    assert result.mode is SearchMode.HYBRID
    assert result.timings_ms == {"total": 12.0}
    assert result.degraded == ("no full text here",)


async def test_status_names_the_gateway_first_and_those_behind_it(
    mesh: Client, memory: Memory
) -> None:
    memory.peers = [
        mesh_pb2.PeerInfo(
            service="embedder",
            address="127.0.0.1:1",
            server=mesh_pb2.ServerInfo(service="embedder", ready=True, models=["m"]),
        ),
        mesh_pb2.PeerInfo(service="generator", address="127.0.0.1:2", error="it is away"),
    ]
    gateway, embedder, generator = await mesh.status()
    assert gateway.service == "gateway"
    assert gateway.ready
    assert gateway.engine == "fake"
    assert gateway.load == {"running_requests": 0.0}
    assert (embedder.address, embedder.ready, embedder.models) == ("127.0.0.1:1", True, ("m",))
    assert (generator.ready, generator.error) == (False, "it is away")


async def test_errors_are_those_that_the_server_raised(mesh: Client) -> None:
    with pytest.raises(NotFound) as not_found:
        await mesh.answer("q", collection="other")
    assert not_found.value.reason is Reason.COLLECTION_NOT_FOUND
    with pytest.raises(NotFound):
        await mesh.search("q", collection="other")


async def test_an_error_in_mid_answer_comes_after_what_was_sent(
    mesh: Client, memory: Memory
) -> None:
    memory.asked = ResourceExhausted("too busy", retry_after_s=2.0)
    events = mesh.ask("q", collection="docs")
    assert [type(await anext(events)), type(await anext(events))] == [Sources, Delta]
    with pytest.raises(ResourceExhausted, match="too busy") as refused:
        await anext(events)
    assert refused.value.retry_after_s == 2.0


@pytest.mark.parametrize("name", ["", "Docs", "-a", "a" * 64, "a/b", "tenants/x"])
async def test_a_bad_name_is_refused_before_any_call(mesh: Client, name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await mesh.search("q", collection=name)
    assert refused.value.fields[0].field == "collection"


async def test_leaving_early_ends_the_work(mesh: Client, memory: Memory) -> None:
    memory.pause.clear()
    async with aclosing(mesh.ask("q", collection="docs")) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
        assert memory.open_calls == 1
    await until(lambda: memory.open_calls == 0)


async def test_cancelling_ends_the_work(mesh: Client, memory: Memory) -> None:
    memory.pause.clear()
    task = asyncio.create_task(mesh.answer("q", collection="docs"))
    await until(lambda: memory.open_calls == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: memory.open_calls == 0)


async def test_every_call_has_an_end_in_time(memory: Memory) -> None:
    memory.pause.clear()
    async with running(gateway_service(memory)) as server:
        async with Client(server.address, timeouts=Timeouts(answer_s=0.2)) as mesh:
            with pytest.raises(DeadlineExceeded):
                await mesh.answer("q", collection="docs")
        async with Client(server.address) as mesh:
            with pytest.raises(DeadlineExceeded):
                await mesh.answer("q", collection="docs", timeout_s=0.2)
    await until(lambda: memory.open_calls == 0)


async def test_a_mesh_that_is_away_is_said_so_with_its_address() -> None:
    async with Client("127.0.0.1:1") as mesh:
        with pytest.raises(MeshUnreachable, match=r"the mesh at 127\.0\.0\.1:1 can't be reached"):
            await mesh.search("q", collection="docs")


async def test_a_service_behind_the_gateway_that_is_away_is_another_thing(
    mesh: Client, memory: Memory
) -> None:
    memory.asked = Unavailable("the generator can't be reached")
    with pytest.raises(Unavailable, match="the generator") as away:
        await mesh.answer("q", collection="docs")
    assert not isinstance(away.value, MeshUnreachable)
