"""Reindexing over the wire: real services, a fake embedder and a fake vector store behind them."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from groundmesh.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Reason,
)
from groundmesh.v1 import collection_pb2, gateway_pb2
from groundmesh.v1.collection_pb2 import AnalysisConfig, SplittingConfig
from groundmesh.v1.embedder_pb2 import EmbeddingModel
from tests.fakes.embedder_service import MODEL
from tests.fakes.vector_store import FakeVectorStore
from tests.mesh.ingest_bench import Events, document
from tests.mesh.reindex_bench import (
    COLLECTION,
    OTHER_MODEL,
    ReindexBench,
    reindex_bench,
    text_of,
    uri_of,
)
from tests.waiting import until

pytestmark = pytest.mark.e2e

FRESH = "tenants/default/collections/fresh"
LONG = SplittingConfig(max_tokens=48, overlap_tokens=8)
SHORT = SplittingConfig(max_tokens=24, overlap_tokens=4)
OTHER = EmbeddingModel(model=OTHER_MODEL)


@pytest.fixture
def store() -> FakeVectorStore:
    return FakeVectorStore()


@pytest.fixture
async def bench(tmp_path: Path, store: FakeVectorStore) -> AsyncIterator[ReindexBench]:
    async with reindex_bench(tmp_path, store) as bench:
        yield bench


def failures(events: list[gateway_pb2.RunReindexResponse]) -> list[str]:
    return [event.failure.uri for event in events if event.HasField("failure")]


async def assert_as_fresh(bench: ReindexBench, versions: dict[int, str]) -> None:
    """Chunks and terms are those of a collection that was made with the settings and ingested."""
    index = (await bench.collection()).index
    for number, version in versions.items():
        await bench.ingest(
            [number],
            version,
            parent=FRESH,
            splitting=index.splitting,
            analysis=index.analysis,
            embedding=index.embedding,
        )
    assert await bench.chunks() == await bench.chunks(FRESH)
    collection = await bench.collection()
    assert collection.document_count == len(versions)
    assert collection.chunk_count == sum(map(len, (await bench.chunks()).values()))


async def assert_swept(bench: ReindexBench, store: FakeVectorStore, *, indexes: int) -> None:
    """Nothing is left but what the catalog names."""

    async def swept() -> bool:
        await bench.retriever.sweeper.sweep()
        return len(store.indexes) == indexes

    for _ in range(50):
        if await swept():
            break
        await asyncio.sleep(0.05)
    chunks = sum(len(rows) for rows in store.indexes.values())
    expected = [len(of) for of in (await bench.chunks()).values()]
    if indexes > 1:
        expected += [len(of) for of in (await bench.chunks(FRESH)).values()]
    assert (len(store.indexes), chunks) == (indexes, sum(expected))


async def test_another_splitting_is_built_from_the_kept_texts(
    bench: ReindexBench, store: FakeVectorStore
) -> None:
    await bench.ingest(range(12))
    before = await bench.chunks()
    reindex = await bench.begin(splitting=SHORT, analysis=AnalysisConfig(language="de"))
    assert reindex.state == collection_pb2.REINDEX_STATE_BUILDING
    assert await bench.chunks() == before
    events = await bench.run(reindex.reindex_id)
    assert not failures(events)
    last = events[-1].progress
    assert (last.documents_done, last.documents_total) == (12, 12)
    assert (await bench.collection()).reindex.state == collection_pb2.REINDEX_STATE_BUILT
    assert await bench.chunks() == before
    committed = await bench.commit(reindex.reindex_id)
    assert committed.index_version == 2
    assert committed.index.splitting.max_tokens == 24
    assert committed.index.analysis.language == "de"
    assert not committed.HasField("reindex")
    assert sum(map(len, (await bench.chunks()).values())) > sum(map(len, before.values()))
    assert last.chunks == committed.chunk_count
    await assert_as_fresh(bench, dict.fromkeys(range(12), "first"))
    await assert_swept(bench, store, indexes=2)


async def test_another_model_serves_searches_before_during_and_after(bench: ReindexBench) -> None:
    await bench.ingest(range(6))
    query = (await bench.chunks())[uri_of(3)][0][3]

    async def finds() -> bool:
        return (await bench.search(query))[0] == uri_of(3)

    assert await finds()
    reindex = await bench.begin(embedding=OTHER)
    assert reindex.index.embedding.dimension == 4
    assert await finds()
    await bench.run(reindex.reindex_id)
    assert await finds()
    await bench.commit(reindex.reindex_id)
    assert await finds()
    assert (await bench.collection()).index.embedding.model == OTHER_MODEL


async def test_what_is_written_and_deleted_in_the_middle_is_in_both(
    bench: ReindexBench, store: FakeVectorStore
) -> None:
    await bench.ingest(range(8))
    reindex = await bench.begin(splitting=SHORT, embedding=OTHER)
    new = await bench.ingest([8])
    replaced = await bench.ingest([1, 2], "second")
    assert {*new.outcomes().values(), *replaced.outcomes().values()} == {"INDEXED", "REPLACED"}
    await bench.delete(3)
    now = (await bench.collection()).reindex
    assert (now.document_count, now.state) == (3, collection_pb2.REINDEX_STATE_BUILDING)
    with pytest.raises(FailedPrecondition) as caught:
        await bench.commit(reindex.reindex_id)
    assert caught.value.reason is Reason.REINDEX_INCOMPLETE
    await bench.run(reindex.reindex_id)
    await bench.delete(8)
    await bench.ingest([4, 9], "second")
    await bench.commit(reindex.reindex_id)
    versions = dict.fromkeys((0, 5, 6, 7), "first") | dict.fromkeys((1, 2, 4, 9), "second")
    await assert_as_fresh(bench, versions)
    await assert_swept(bench, store, indexes=2)


async def test_from_the_first_moment_writes_alone_complete_it(bench: ReindexBench) -> None:
    await bench.ingest([])
    reindex = await bench.begin(splitting=SHORT)
    await bench.ingest(range(3))
    assert (await bench.collection()).reindex.state == collection_pb2.REINDEX_STATE_BUILT
    await bench.commit(reindex.reindex_id)
    await assert_as_fresh(bench, dict.fromkeys(range(3), "first"))


async def test_a_stream_that_outlives_begin_and_commit(
    bench: ReindexBench, store: FakeVectorStore
) -> None:
    await bench.ingest(range(3))
    call = bench.gateway.Ingest()
    begin = gateway_pb2.IngestBegin(parent=COLLECTION)
    await call.write(gateway_pb2.IngestRequest(begin=begin))
    events = Events()

    async def send(number: int) -> None:
        for message in document(uri_of(number), text_of(number)):
            await call.write(message)
        while uri_of(number) not in events.outcomes():
            response = await call.read()
            assert isinstance(response, gateway_pb2.IngestResponse)
            events.add(response)

    await send(10)
    reindex = await bench.begin(splitting=SHORT, embedding=OTHER)
    await send(11)
    await bench.run(reindex.reindex_id)
    await send(12)
    await bench.commit(reindex.reindex_id)
    await send(13)
    await call.done_writing()
    assert set(events.outcomes().values()) == {"INDEXED"}
    await assert_as_fresh(bench, dict.fromkeys((0, 1, 2, 10, 11, 12, 13), "first"))
    await assert_swept(bench, store, indexes=2)


@pytest.mark.slow
async def test_ingests_searches_and_deletes_run_on_while_it_is_built_and_committed(
    bench: ReindexBench, store: FakeVectorStore
) -> None:
    await bench.ingest(range(10))
    versions = dict.fromkeys(range(10), "first")
    over = asyncio.Event()

    async def search() -> None:
        while not over.is_set():
            assert await bench.search("words")

    async def write() -> None:
        for turn in count():
            if over.is_set():
                return
            await asyncio.sleep(0.05)
            number, version = 100 + turn % 7, f"version {turn}"
            events = await bench.ingest([number], version)
            assert set(events.outcomes().values()) <= {"INDEXED", "REPLACED"}, events.documents
            versions[number] = version
            if turn % 3 == 0:
                await bench.delete(number)
                del versions[number]

    async with asyncio.TaskGroup() as others:
        others.create_task(search())
        others.create_task(write())
        for splitting, model in ((SHORT, OTHER), (LONG, EmbeddingModel(model=MODEL))):
            reindex = await bench.begin(splitting=splitting, embedding=model)
            assert not failures(await bench.run(reindex.reindex_id))
            await bench.commit(reindex.reindex_id)
        over.set()
    assert (await bench.collection()).index_version == 3
    await assert_as_fresh(bench, versions)
    await assert_swept(bench, store, indexes=2)


async def test_a_run_that_was_cut_off_is_taken_up_by_the_next(
    bench: ReindexBench, store: FakeVectorStore
) -> None:
    await bench.ingest(range(10))
    reindex = await bench.begin(splitting=SHORT)
    done = 0

    def hold_after_a_few() -> None:
        nonlocal done
        done += 1
        if done > 4:
            bench.embedder.open.clear()

    bench.embedder.on_call = hold_after_a_few
    running = asyncio.create_task(bench.run(reindex.reindex_id))
    await until(lambda: not bench.embedder.open.is_set() and bench.embedder.running)
    running.cancel()
    await asyncio.wait([running])
    bench.embedder.on_call = lambda: None
    bench.embedder.open.set()
    assert (await bench.collection()).reindex.state == collection_pb2.REINDEX_STATE_BUILDING
    events = await bench.run(reindex.reindex_id)
    assert events[-1].progress.documents_done == 10
    await bench.commit(reindex.reindex_id)
    await assert_as_fresh(bench, dict.fromkeys(range(10), "first"))
    await assert_swept(bench, store, indexes=2)


async def test_two_that_run_the_same_reindex_do_no_harm(
    bench: ReindexBench, store: FakeVectorStore
) -> None:
    await bench.ingest(range(10))
    reindex = await bench.begin(splitting=SHORT)
    await asyncio.gather(*(bench.run(reindex.reindex_id) for _ in range(2)))
    await bench.commit(reindex.reindex_id)
    await assert_as_fresh(bench, dict.fromkeys(range(10), "first"))
    await assert_swept(bench, store, indexes=2)


async def test_an_abandoned_one_leaves_nothing(bench: ReindexBench, store: FakeVectorStore) -> None:
    await bench.ingest(range(4))
    before = await bench.chunks()
    reindex = await bench.begin(splitting=SHORT, embedding=OTHER)
    await bench.run(reindex.reindex_id)
    collection = await bench.abandon(reindex.reindex_id)
    assert collection.index_version == 1
    assert not collection.HasField("reindex")
    await bench.abandon(reindex.reindex_id)
    assert await bench.chunks() == before
    await assert_swept(bench, store, indexes=1)
    for step in (bench.commit, bench.run):
        with pytest.raises(FailedPrecondition) as caught:
            await step(reindex.reindex_id)
        assert caught.value.reason is Reason.REINDEX_OVER
    again = await bench.begin(splitting=SHORT)
    assert again.reindex_id != reindex.reindex_id


async def test_an_answer_that_was_lost_can_be_asked_for_again(bench: ReindexBench) -> None:
    await bench.ingest(range(2))
    reindex = await bench.begin(splitting=SHORT, request_id="mine")
    assert (await bench.begin(splitting=SHORT, request_id="mine")) == reindex
    with pytest.raises(FailedPrecondition) as caught:
        await bench.begin(splitting=SHORT, request_id="another")
    assert caught.value.reason is Reason.REINDEX_UNDER_WAY
    assert caught.value.metadata["reindex_id"] == reindex.reindex_id
    await bench.run(reindex.reindex_id)
    assert await bench.commit(reindex.reindex_id) == await bench.commit(reindex.reindex_id)
    with pytest.raises(FailedPrecondition) as caught:
        await bench.begin(splitting=SHORT, request_id="mine")
    assert caught.value.reason is Reason.REINDEX_OVER


async def test_what_can_t_be_is_refused(bench: ReindexBench) -> None:
    with pytest.raises(NotFound):
        await bench.begin(splitting=SHORT)
    await bench.ingest(range(1))
    with pytest.raises(NotFound) as missing:
        await bench.begin(embedding=EmbeddingModel(model="nobody"))
    assert missing.value.reason is Reason.MODEL_NOT_FOUND
    with pytest.raises(InvalidArgument, match="max_tokens"):
        await bench.begin(splitting=SplittingConfig(max_tokens=1_000_000))
    with pytest.raises(FailedPrecondition) as over:
        await bench.run("nothing")
    assert over.value.reason is Reason.REINDEX_OVER
    for step in (bench.commit, bench.abandon):
        with pytest.raises(NotFound) as unknown:
            await step("nothing")
        assert unknown.value.reason is Reason.REINDEX_NOT_FOUND
