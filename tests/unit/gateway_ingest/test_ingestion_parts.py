"""The parts of an ingestion by themselves: budgets, patience, batches, the receiving."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from groundmesh.errors import (
    Aborted,
    Cancelled,
    InvalidArgument,
    MeshError,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh_gateway.ingestion.batching import EmbeddingBatcher
from groundmesh_gateway.ingestion.budget import Budget, Held
from groundmesh_gateway.ingestion.model import Description, End, Matrix, Part, Step
from groundmesh_gateway.ingestion.patience import Patience
from groundmesh_gateway.ingestion.receiving import Arrival, Receiver
from tests.waiting import until

TOO_LARGE = ResourceExhausted("too large", reason=Reason.DOCUMENT_TOO_LARGE)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class TestBudget:
    async def test_who_finds_no_room_waits_in_order(self) -> None:
        budget = Budget(10)
        await budget.acquire(8)
        order: list[int] = []

        async def take(units: int) -> None:
            await budget.acquire(units)
            order.append(units)

        tasks = [asyncio.create_task(take(units)) for units in (5, 1, 4)]
        await settle()
        assert order == []  # not even the small one, which came later
        budget.release(8)
        await asyncio.gather(*tasks)
        assert order == [5, 1, 4]
        assert budget.used == 10

    async def test_what_is_larger_than_the_budget_goes_alone(self) -> None:
        budget = Budget(10)
        async with budget.holding(50):
            late = asyncio.create_task(budget.acquire(1))
            await settle()
            assert not late.done()
        await late
        assert budget.used == 1

    @pytest.mark.parametrize("granted", [False, True])
    async def test_who_leaves_the_queue_takes_nothing_along(self, granted: bool) -> None:
        budget = Budget(1)
        await budget.acquire(1)
        leaving, staying = (asyncio.create_task(budget.acquire(1)) for _ in range(2))
        await settle()
        if granted:
            budget.release(1)  # it is the other's turn, which does not know it yet
        leaving.cancel()
        await settle()
        if not granted:
            budget.release(1)
        await staying
        assert budget.used == 1

    async def test_what_is_begun_may_grow_beyond_it(self) -> None:
        budget = Budget(10)
        held = Held(budget)
        await held.begin()
        held.resize(25)
        assert budget.used == 25
        waiting = asyncio.create_task(budget.acquire(1))
        await settle()
        assert not waiting.done()
        held.resize(0)
        held.resize(0)
        await waiting
        assert budget.used == 1


class Attempts:
    """Fails as often as it is told to."""

    def __init__(self, *failures: MeshError) -> None:
        self.failures = list(failures)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


class TestPatience:
    @pytest.fixture(autouse=True)
    def hurried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("groundmesh_gateway.ingestion.patience._FIRST_PAUSE_S", 0.01)
        monkeypatch.setattr("groundmesh_gateway.ingestion.patience._LAST_PAUSE_S", 0.02)

    async def test_what_passes_is_waited_for(self) -> None:
        attempts = Attempts(
            Unavailable("away"), ResourceExhausted("full", retry_after_s=99), Aborted("overtaken")
        )
        assert await Patience(5).call(attempts) == "done"
        assert attempts.made == 4

    @pytest.mark.parametrize("error", [InvalidArgument("wrong"), TOO_LARGE])
    async def test_what_stays_is_not(self, error: MeshError) -> None:
        attempts = Attempts(error)
        with pytest.raises(type(error)):
            await Patience(5).call(attempts)
        assert attempts.made == 1

    async def test_the_time_counts_for_all_callers_together(self) -> None:
        patience = Patience(0.1)
        first = Attempts(*[Unavailable("away")] * 1000)
        with pytest.raises(Unavailable):
            await patience.call(first)
        assert first.made > 2
        second = Attempts(Unavailable("away"))
        with pytest.raises(Unavailable):
            await patience.call(second)
        assert second.made == 1
        assert await patience.call(Attempts()) == "done"  # it is back
        third = Attempts(Unavailable("away"))
        assert await patience.call(third) == "done"


class CountingEmbedder:
    """The vector of a text is its length; refuses calls with a text of more than nine letters."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.open = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Matrix:
        self.calls.append(list(texts))
        await self.open.wait()
        if any(len(text) > 9 for text in texts):
            raise InvalidArgument("too long", reason=Reason.INPUT_TOO_LONG)
        return Matrix(b"".join(len(text).to_bytes(4, "little") for text in texts), len(texts), 1)


@pytest.fixture
async def batcher() -> AsyncIterator[tuple[EmbeddingBatcher, CountingEmbedder]]:
    embedder = CountingEmbedder()
    batcher = EmbeddingBatcher(embedder, patience=Patience(0), batch_texts=4, max_texts=12)
    working = asyncio.create_task(batcher.work())
    yield batcher, embedder
    working.cancel()
    await asyncio.wait([working])


def lengths(matrix: Matrix) -> list[int]:
    return [int.from_bytes(matrix.rows_from(n, 1).data, "little") for n in range(matrix.rows)]


Batching = tuple[EmbeddingBatcher, CountingEmbedder]


class TestBatching:
    async def test_orders_that_wait_go_together_and_come_back_apart(
        self, batcher: Batching
    ) -> None:
        orders, embedder = batcher
        vectors = [await orders.order(["a"])]
        await until(lambda: embedder.calls)
        vectors += [await orders.order(texts) for texts in (["b", "bb"], ["c"], ["dd", "d"])]
        embedder.open.set()
        assert [lengths(await each) for each in vectors] == [[1], [1, 2], [1], [2, 1]]
        assert embedder.calls == [["a"], ["b", "bb", "c"], ["dd", "d"]]

    async def test_a_refused_text_fails_its_own_order_only(self, batcher: Batching) -> None:
        orders, embedder = batcher
        await orders.order(["first"])
        await until(lambda: embedder.calls)
        good, bad = await orders.order(["good"]), await orders.order(["much too long"])
        embedder.open.set()
        assert lengths(await good) == [4]
        with pytest.raises(InvalidArgument):
            await bad

    async def test_what_nobody_waits_for_is_not_embedded(self, batcher: Batching) -> None:
        orders, embedder = batcher
        first = await orders.order(["a"])
        await until(lambda: embedder.calls)
        (await orders.order(["nobody"])).cancel()
        last = await orders.order(["b"])
        embedder.open.set()
        await asyncio.gather(first, last)
        assert embedder.calls == [["a"], ["b"]]

    async def test_orders_are_bounded(self, batcher: Batching) -> None:
        orders, embedder = batcher
        taken = [await orders.order(["a"] * 4) for _ in range(3)]
        late = asyncio.create_task(orders.order(["b"]))
        await settle()
        assert not late.done()
        taken[-1].cancel()
        await late
        embedder.open.set()
        await asyncio.gather(*taken[:-1], await late)


async def steps_of(*steps: Step) -> AsyncIterator[Step]:
    for step in steps:
        yield step


async def arrivals(receiver: Receiver, *steps: Step) -> list[Arrival]:
    return [arrival async for arrival in receiver.arrivals(steps_of(*steps))]


class TestReceiving:
    async def test_parts_become_one_document(self) -> None:
        budget = Budget(1000)
        receiver = Receiver(budget, max_document_bytes=100)
        described = Description("a.txt", media_type="Text/Plain; charset=x")
        (arrival,) = await arrivals(receiver, described, Part(b"one "), Part(b"two"), End())
        document = arrival.take()
        assert document.data == b"one two"
        assert document.description.media_type == "text/plain"
        assert budget.used == receiver.bytes_read == 7
        arrival.held.resize(0)
        assert budget.used == 0

    async def test_what_is_refused_holds_no_bytes(self) -> None:
        budget = Budget(1000)
        receiver = Receiver(budget, max_document_bytes=5)
        found = await arrivals(receiver, Description("a"), Part(b"123"), Part(b"456"), End())
        with pytest.raises(ResourceExhausted) as caught:
            found[0].take()
        assert caught.value.reason is Reason.DOCUMENT_TOO_LARGE
        assert budget.used == 1

    async def test_what_is_given_up_holds_no_bytes(self) -> None:
        budget = Budget(1000)
        receiver = Receiver(budget, max_document_bytes=100)
        given_up = (Description("a"), Part(b"123"), End(abandon=True))
        found = await arrivals(receiver, *given_up, Description("b"), Part(b"4"), End())
        with pytest.raises(Cancelled) as caught:
            found[0].take()
        assert caught.value.reason is Reason.CALLER_GONE
        assert found[1].take().data == b"4"
        assert budget.used == 2

    async def test_a_stream_has_a_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("groundmesh_gateway.ingestion.receiving.MAX_DOCUMENTS", 2)
        receiver = Receiver(Budget(1000), max_document_bytes=100)
        steps = [step for uri in "abc" for step in (Description(uri), Part(b"x"), End())]
        *taken, refused = await arrivals(receiver, *steps)
        assert [arrival.take().data for arrival in taken] == [b"x", b"x"]
        with pytest.raises(InvalidArgument, match="takes 2"):
            refused.take()

    @pytest.mark.parametrize(
        "steps", [(Part(b"x"),), (End(),), (Description("a"), Part(b"x")), (Description("a"),) * 2]
    )
    async def test_disorder_is_refused_and_nothing_stays_in_hand(self, steps: list[Step]) -> None:
        budget = Budget(1000)
        with pytest.raises(InvalidArgument):
            await arrivals(Receiver(budget, max_document_bytes=100), *steps)
        assert budget.used == 0

    async def test_a_document_waits_for_room_before_it_begins_and_never_after(self) -> None:
        budget = Budget(4)
        await budget.acquire(3)
        receiver = Receiver(budget, max_document_bytes=100)
        read: list[Step] = []

        async def watched() -> AsyncIterator[Step]:
            for step in (Description("a"), Part(b"123456"), End(), Description("b"), End()):
                read.append(step)
                yield step

        taking = receiver.arrivals(watched())
        first = await anext(taking)
        second = asyncio.ensure_future(anext(taking))
        await settle()
        assert len(read) == 4
        assert budget.used == 9
        first.held.resize(0)
        budget.release(3)
        (await second).held.resize(0)
        assert await anext(taking, None) is None
        assert budget.used == 0
