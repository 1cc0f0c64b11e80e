"""Who may go to the engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from groundmesh import deadline
from groundmesh.errors import Reason, ResourceExhausted
from groundmesh_generator.admission import Admission, AdmissionLimits, Demand, Place
from groundmesh_generator.backends.base import Priority
from tests.waiting import until

LIMITS = AdmissionLimits(
    max_waiting_tokens=1000, max_wait_s=10, max_running_bulk=2, max_waiting_bulk=3
)


class Engine:
    """An admission, and what the engine behind it would say."""

    def __init__(self, limits: AdmissionLimits = LIMITS) -> None:
        self.waiting = 0
        self.cache_tokens = 0
        self.admission = Admission(
            limits, engine_waiting=lambda: self.waiting, cache_tokens=lambda: self.cache_tokens
        )

    def learn(self, tokens_per_s: int) -> None:
        """At this speed it read until now."""
        self.admission.pace.learn_one(tokens=tokens_per_s, seconds=1)
        self.admission.pace.learn_flow(tokens=tokens_per_s, seconds=1)

    @asynccontextmanager
    async def entered(self, demand: Demand) -> AsyncIterator[Place]:
        """With a place, and in the engine."""
        async with self.admission.place(demand) as place:
            self.admission.enter(place)
            yield place


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def interactive(tokens: int) -> Demand:
    return Demand(Priority.INTERACTIVE, tokens, tokens, tokens + 10)


def bulk(tokens: int) -> Demand:
    return Demand(Priority.BULK, tokens, tokens, tokens + 10)


@asynccontextmanager
async def queued(engine: Engine, demand: Demand) -> AsyncIterator[asyncio.Task[None]]:
    """A request that stays as long as the block; the task's end says that it got no place."""

    async def stay() -> None:
        async with engine.entered(demand):
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await asyncio.sleep(0)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def refused(engine: Engine, demand: Demand) -> ResourceExhausted:
    with pytest.raises(ResourceExhausted) as error:
        async with engine.entered(demand):
            pass
    assert error.value.reason is Reason.OVERLOADED
    assert error.value.retry_after_s
    return error.value


async def test_waiting_prompts_are_bounded_by_their_tokens(
    engine: Engine, stack: AsyncExitStack
) -> None:
    first = await stack.enter_async_context(engine.entered(interactive(600)))
    assert "600 tokens" in (await refused(engine, interactive(401))).message
    await stack.enter_async_context(engine.entered(interactive(400)))
    engine.admission.read(first)
    assert engine.admission.waiting_tokens == 400
    await stack.enter_async_context(engine.entered(interactive(600)))


async def test_a_prompt_over_the_bound_is_read_when_nothing_waits(engine: Engine) -> None:
    async with engine.entered(interactive(5000)):
        pass
    assert engine.admission.waiting_tokens == 0


async def test_the_wait_is_bounded_by_what_is_expected_of_the_engine(
    engine: Engine, stack: AsyncExitStack
) -> None:
    engine.learn(tokens_per_s=64)
    await stack.enter_async_context(engine.entered(interactive(600)))
    await stack.enter_async_context(engine.entered(interactive(100)))
    error = await refused(engine, interactive(1))
    assert "11 s" in error.message
    assert error.retry_after_s is not None
    assert 0.9 < error.retry_after_s < 1


async def test_a_deadline_that_its_own_prompt_takes_longer_than_is_refused(engine: Engine) -> None:
    engine.learn(tokens_per_s=100)
    with deadline.within(2.4):
        await refused(engine, interactive(500))
    with deadline.within(2.6):  # an engine twice as fast would be in time
        async with engine.entered(interactive(500)):
            pass


async def test_of_what_is_ahead_only_what_surely_has_not_begun_counts_against_a_deadline(
    engine: Engine, stack: AsyncExitStack
) -> None:
    engine.learn(tokens_per_s=100)
    for _ in range(3):
        await stack.enter_async_context(engine.entered(interactive(100)))
    with deadline.within(1.4):
        async with engine.entered(interactive(100)):
            pass
        engine.waiting = 1
        async with engine.entered(interactive(100)):
            pass
        engine.waiting = 9  # the first may be half read all the same
        assert "300 tokens" in (await refused(engine, interactive(100))).message


async def test_further_answers_that_wait_may_be_to_a_prompt_that_is_begun(
    engine: Engine, stack: AsyncExitStack
) -> None:
    engine.learn(tokens_per_s=100)
    several = replace(interactive(100), answers=4)
    for demand in (interactive(100), several, interactive(100)):
        await stack.enter_async_context(engine.entered(demand))
    engine.waiting = 4  # the last, and three of the four
    with deadline.within(1.1):
        async with engine.entered(interactive(100)):
            pass
        engine.waiting = 5
        assert "300 tokens" in (await refused(engine, interactive(100))).message
        await stack.aclose()
        for _ in range(3):
            await stack.enter_async_context(engine.entered(interactive(100)))
        engine.waiting = 2
        assert "300 tokens" in (await refused(engine, interactive(100))).message


async def test_what_waits_for_its_adapter_is_in_nobodys_way(
    engine: Engine, stack: AsyncExitStack
) -> None:
    engine.learn(tokens_per_s=100)
    late = await stack.enter_async_context(engine.admission.place(interactive(600)))
    with deadline.within(2.6):
        await stack.enter_async_context(engine.entered(interactive(500)))
    with pytest.raises(ResourceExhausted, match="500 tokens"):
        engine.admission.enter(late)
    assert engine.admission.waiting_tokens == 500


async def test_bulk_whose_turn_it_was_is_not_refused_any_more(
    engine: Engine, stack: AsyncExitStack
) -> None:
    place = await stack.enter_async_context(engine.admission.place(bulk(600)))
    await stack.enter_async_context(engine.entered(interactive(500)))
    engine.admission.enter(place)
    assert engine.admission.waiting_tokens == 1100


async def test_bulk_that_waits_in_the_engine_is_not_ahead_of_interactive(
    engine: Engine, stack: AsyncExitStack
) -> None:
    engine.learn(tokens_per_s=100)
    for demand in (interactive(100), interactive(100), bulk(100), bulk(100)):
        await stack.enter_async_context(engine.entered(demand))
    engine.waiting = 2
    with deadline.within(0.7):
        async with engine.entered(interactive(100)):
            pass
        await refused(engine, bulk(100))


async def test_bulk_has_a_share_and_waits_for_it_in_turn(engine: Engine) -> None:
    order: list[int] = []

    async def run(number: int) -> None:
        async with engine.entered(bulk(10)):
            order.append(number)
            await asyncio.sleep(0.01)

    running = [asyncio.create_task(run(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert order == [0, 1]
    assert engine.admission.held_back == 3
    await refused(engine, bulk(10))
    async with engine.entered(interactive(10)):
        assert order == [0, 1], "an interactive call does not wait behind them"
    await asyncio.gather(*running)
    assert order == [0, 1, 2, 3, 4]


async def test_where_no_bulk_may_wait_it_runs_all_the_same(stack: AsyncExitStack) -> None:
    engine = Engine(replace(LIMITS, max_waiting_bulk=0))
    for _ in range(2):
        await stack.enter_async_context(engine.entered(bulk(10)))
    await refused(engine, bulk(10))


async def test_bulk_takes_half_of_the_engines_memory_at_most(engine: Engine) -> None:
    engine.cache_tokens = 400
    async with engine.entered(bulk(300)) as first, queued(engine, bulk(10)) as second:
        assert isinstance(first, Place)
        assert engine.admission.held_back == 1
        assert not second.done()
    assert engine.admission.held_back == 0


async def test_bulk_never_takes_the_room_of_interactive(
    engine: Engine, stack: AsyncExitStack
) -> None:
    await stack.enter_async_context(engine.entered(bulk(900)))
    await refused(engine, bulk(200))
    await stack.enter_async_context(engine.entered(interactive(900)))


async def test_who_leaves_while_it_waits_leaves_nothing(engine: Engine) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(engine.entered(bulk(10)))
        async with queued(engine, bulk(10)) as leaving, queued(engine, bulk(10)) as staying:
            leaving.cancel()
            await asyncio.wait({leaving})
            assert engine.admission.held_back == 1
            await stack.aclose()
            await until(lambda: engine.admission.held_back == 0)
            assert not staying.done()
    assert engine.admission.waiting_tokens == 0


async def test_time_in_which_nothing_is_there_to_be_read_is_not_learned(engine: Engine) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            place = await stack.enter_async_context(engine.entered(bulk(10)))
            engine.admission.read(place)
        async with queued(engine, bulk(100)):
            await asyncio.sleep(0.2)
            async with engine.entered(interactive(100)) as place:
                engine.admission.read(place)
    assert engine.admission.pace.tokens_per_s > 1000
