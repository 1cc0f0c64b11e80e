"""``Ingest`` under load and in trouble: bounds, slow and absent services, clients that go."""

import asyncio
import gc
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import psutil
import pytest

from groundmesh.channel import translated
from groundmesh.errors import MeshError, Reason, ResourceExhausted, Unavailable
from groundmesh.v1.gateway_pb2 import IngestRequest
from tests import hostile_parser
from tests.fakes.embedder_service import fake_embedder
from tests.fakes.retriever_service import fake_retriever
from tests.mesh.ingest_bench import Bench, begin, document, ingest_bench
from tests.waiting import until

pytestmark = pytest.mark.e2e  # puts load on

PAGE = b"A sentence of a few words. " * 200
LARGE = b"a" * (256 << 10)  # a word that no model knows: quick to split
AWAY = Unavailable("away for a moment", reason=Reason.NOT_READY)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with ingest_bench() as bench:
        yield bench


class Feeder:
    """Sends documents as long as they are asked for, and knows how many were."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sent = 0

    async def messages(self, most: int) -> AsyncIterator[IngestRequest]:
        yield begin()
        for number in range(most):
            for message in document(f"{number}.txt", self.data):
                yield message
            self.sent += 1


async def quiet(figure: Callable[[], object]) -> None:
    """Wait until a figure has not changed for half a second."""
    while True:
        before = figure()
        await asyncio.sleep(0.5)
        if figure() == before:
            return


async def released(bench: Bench) -> None:
    """Nothing of any stream is left anywhere."""
    for name in ("ingest_streams", "ingest_bytes_in_hand", "parse_workers_busy"):
        await until(lambda name=name: bench.load(name) == 0)  # type: ignore[misc]
    await until(lambda: bench.retriever.streams == 0)
    await until(lambda: bench.embedder.running == 0)


async def test_a_slow_store_slows_the_client_down() -> None:
    async with ingest_bench(documents_in_hand=10, write_streams=2) as bench:
        bench.retriever.open.clear()
        feeder = Feeder(LARGE)
        call = bench.stub.Ingest(feeder.messages(80))
        ingesting = asyncio.create_task(_read_all(call))
        await until(lambda: len(bench.retriever.begun) == 2)
        await quiet(lambda: feeder.sent)
        assert 10 <= feeder.sent < 60
        bench.retriever.open.set()
        await ingesting
        assert bench.retriever.commits == feeder.sent == 80
        assert bench.retriever.most_streams == 2
        await released(bench)


async def test_bytes_in_hand_are_bounded_over_all_streams() -> None:
    async with ingest_bench(bytes_in_hand=4 << 20) as bench:
        bench.retriever.open.clear()
        feeders = [Feeder(LARGE * 2) for _ in range(3)]
        calls = [bench.stub.Ingest(feeder.messages(30)) for feeder in feeders]
        reading = [asyncio.create_task(_read_all(call)) for call in calls]
        await quiet(lambda: [feeder.sent for feeder in feeders])
        # One document a stream may come on top of the bound.
        assert 4 << 20 <= bench.load("ingest_bytes_in_hand") <= 6 << 20
        assert sum(feeder.sent for feeder in feeders) < 75
        bench.retriever.open.set()
        await asyncio.gather(*reading)
        assert all(feeder.sent == 30 for feeder in feeders)
        await released(bench)


async def _read_all(call: AsyncIterable[object]) -> None:
    with translated("gateway"):
        async for _ in call:
            pass


@pytest.mark.parametrize("where", ["embed", "write", "parse", "receive"])
async def test_a_client_that_goes_leaves_nothing_behind(
    where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", hostile_parser.injected_into(tmp_path))
    async with ingest_bench() as bench:
        messages = [begin(), *document("a.md", PAGE)]
        if where == "embed":
            bench.embedder.open.clear()
        elif where == "write":
            bench.retriever.open.clear()
        elif where == "parse":
            messages += document("x", b"hang", media_type=hostile_parser.MEDIA_TYPE)
        else:
            messages += document("b.md", PAGE)[:2]
        call = bench.stub.Ingest(_and_then_nothing(messages))
        reached: dict[str, Callable[[], object]] = {
            "embed": lambda: bench.embedder.running,
            "write": lambda: bench.retriever.begun,
            "parse": lambda: bench.load("parse_workers_busy") and bench.retriever.commits,
            "receive": lambda: bench.retriever.commits,
        }
        await until(reached[where])
        workers = psutil.Process().children()
        call.cancel()
        await released(bench)
        if where == "parse":
            await until(lambda: not all(worker.is_running() for worker in workers))
        bench.embedder.open.set()
        bench.retriever.open.set()
        again = await bench.ingest(document("a.md", PAGE))
        assert len(again.documents) == 1


async def _and_then_nothing(messages: list[IngestRequest]) -> AsyncIterator[IngestRequest]:
    for message in messages:
        yield message
    await asyncio.Event().wait()


async def test_many_documents_while_clients_come_and_go(bench: Bench) -> None:
    numbers = count()

    async def go(cancel_after_s: float | None) -> None:
        uris = [f"{next(numbers)}.txt" for _ in range(20)]
        ingesting = asyncio.create_task(bench.ingest(*(document(uri, PAGE) for uri in uris)))
        if cancel_after_s is None:
            assert set((await ingesting).outcomes().values()) == {"INDEXED"}
        else:
            await asyncio.sleep(cancel_after_s)
            ingesting.cancel()
            await asyncio.wait([ingesting])

    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(go(None if number % 2 else 0.1 * number))
    await released(bench)


@pytest.mark.parametrize(
    "trouble", [AWAY, ResourceExhausted("full", retry_after_s=0.1)], ids=["away", "full"]
)
async def test_an_embedder_in_trouble_for_a_moment_costs_nothing(
    bench: Bench, trouble: MeshError
) -> None:
    bench.embedder.failures = [trouble] * 4
    events = await bench.ingest(*(document(f"{n}.txt", PAGE) for n in range(5)))
    assert set(events.outcomes().values()) == {"INDEXED"}


async def test_an_embedder_that_stays_away_fails_documents_soon() -> None:
    async with ingest_bench(patience_s=1.0) as bench:
        assert (await bench.ingest(document("before.txt"))).outcomes() == {"before.txt": "INDEXED"}
        bench.embedder.failures = [AWAY] * 10_000
        began = asyncio.get_running_loop().time()
        events = await bench.ingest(*(document(f"{n}.txt", PAGE) for n in range(40)))
        # All together, and not one after the other.
        assert asyncio.get_running_loop().time() - began < 20
        assert set(events.outcomes().values()) == {"NOT_READY"}
        bench.embedder.failures.clear()
        assert (await bench.ingest(document("0.txt"))).outcomes() == {"0.txt": "INDEXED"}


async def test_a_write_whose_stream_breaks_is_made_again(bench: Bench) -> None:
    bench.retriever.failures = [AWAY] * 3
    bench.retriever.broken_streams = 2
    events = await bench.ingest(document("a.txt", PAGE), document("b.txt", PAGE))
    assert events.outcomes() == {"a.txt": "INDEXED", "b.txt": "INDEXED"}
    assert bench.retriever.commits == 2


async def test_a_service_that_is_not_there_ends_the_stream_and_not_the_gateway() -> None:
    async with ingest_bench(behind=False) as bench:
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await bench.ingest(document("a.txt"))
            assert caught.value.reason is Reason.SERVICE_UNREACHABLE
            assert "retriever" in caught.value.message
        await bench.service.engine.check()


async def test_a_long_document_is_written_while_it_is_still_embedded() -> None:
    async with ingest_bench(embed_calls=2, embed_batch_texts=4) as bench:
        already_begun: list[bool] = []
        bench.embedder.on_call = lambda: already_begun.append(bool(bench.retriever.begun))
        await bench.ingest(document("a.txt", PAGE * 10))
        assert len(already_begun) > 50
        assert already_begun.index(True) < 10


async def test_memory_is_flat_over_many_chunks() -> None:
    process = psutil.Process()
    embedder = fake_embedder(remember_texts=False)
    retriever = fake_retriever(remember_content=False)
    async with ingest_bench(
        embedder=embedder, retriever=retriever, embed_batch_texts=64, documents_in_hand=64
    ) as bench:

        async def send(numbers: Iterator[int], documents: int) -> int:
            texts = (document(f"{next(numbers)}.txt", PAGE * 5) for _ in range(documents))
            await _read_all(bench.stub.Ingest(_flat(texts)))
            gc.collect()
            return process.memory_info().rss

        numbers = count()
        warm = await send(numbers, 25)
        assert retriever.chunks > 5_000 / 2
        after = await send(numbers, 150)
        assert retriever.chunks > 15_000
        assert after - warm < 40 << 20
        await released(bench)


async def _flat(documents: Iterator[list[IngestRequest]]) -> AsyncIterator[IngestRequest]:
    yield begin()
    for messages in documents:
        for message in messages:
            yield message
