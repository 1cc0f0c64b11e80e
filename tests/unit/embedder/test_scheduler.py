"""What is queued is run, dropped, refused or failed."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from groundmesh import deadline
from groundmesh.errors import (
    DeadlineExceeded,
    Internal,
    MeshError,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh_embedder.backends.base import Encoded, Rows
from groundmesh_embedder.fair_queue import AT_ONCE, FairQueue, Lane, Turn
from groundmesh_embedder.scheduler import Outcome, Scheduler
from groundmesh_embedder.worker import Worker
from tests.unit.embedder.calls import inputs
from tests.waiting import until

BULK = Turn(Lane.BULK)
PATIENT = Turn(Lane.BULK, patient=True)


class Model:
    """Answers with what it read; 13 is bad luck, 17 has no number, and a closed gate stops it."""

    def __init__(self) -> None:
        self.ran: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def run(self, batch: Sequence[Encoded]) -> Rows:
        lengths = [encoded.read for encoded in batch]
        self.ran.append(lengths)
        assert self.gate.wait(10)
        if 13 in lengths:
            raise RuntimeError("bad luck")
        return np.array([[np.nan if n == 17 else n] for n in lengths], dtype=np.float32)


class Bench:
    """A scheduler over one model."""

    def __init__(self) -> None:
        self.queue = FairQueue(max_items=100, max_tokens=1000)
        self.worker = Worker("test")
        self.scheduler = Scheduler(self.queue, self.worker, batch_tokens=100)
        self.model = Model()

    def send(self, *lengths: int, turn: Turn = AT_ONCE) -> asyncio.Task[Outcome]:
        return asyncio.create_task(self.scheduler.run(self.model, inputs(lengths), turn=turn))

    async def occupy(self) -> asyncio.Task[Outcome]:
        """Have a batch run until the gate is opened, so that what follows waits."""
        self.model.gate.clear()
        task = self.send(1)
        await until(lambda: self.model.ran == [[1]])
        return task


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.model.gate.set()
    await bench.scheduler.close()
    assert await bench.worker.stop(timeout_s=5)


def answers(outcome: Outcome) -> list[int]:
    return [int(row[0]) for row in outcome.rows]


async def test_rows_come_back_in_the_order_of_the_inputs(bench: Bench) -> None:
    lengths = [5, 90, 2, 64, 33, 90, 1]
    outcome = await bench.send(*lengths)
    assert answers(outcome) == lengths
    assert outcome.compute_s > 0


async def test_calls_that_wait_together_run_together(bench: Bench) -> None:
    first = await bench.occupy()
    waiting = [bench.send(20 + index) for index in range(4)]
    await asyncio.sleep(0)
    bench.model.gate.set()
    outcomes = await asyncio.gather(first, *waiting)
    assert [answers(outcome) for outcome in outcomes] == [[1], [20], [21], [22], [23]]
    assert bench.model.ran == [[1], [20, 21, 22, 23]]
    assert all(outcome.queue_s > 0 for outcome in outcomes[1:])


async def test_a_small_call_overtakes_a_huge_one(bench: Bench) -> None:
    first = await bench.occupy()
    huge = bench.send(*[10] * 95)
    await asyncio.sleep(0)
    small = bench.send(11)
    await asyncio.sleep(0)
    bench.model.gate.set()
    await small
    assert not huge.done()
    await asyncio.gather(first, huge)


async def test_what_a_caller_left_behind_is_not_run(bench: Bench) -> None:
    first = await bench.occupy()
    gone, stays = bench.send(30, 31), bench.send(32)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    assert bench.queue.items == 1
    bench.model.gate.set()
    await asyncio.gather(first, stays)
    assert bench.model.ran == [[1], [32]]


async def test_a_caller_may_leave_while_its_batch_runs(bench: Bench) -> None:
    first = await bench.occupy()
    first.cancel()
    await asyncio.wait([first])
    bench.model.gate.set()
    assert answers(await bench.send(5)) == [5]


async def test_what_nobody_waits_for_any_more_is_not_run(bench: Bench) -> None:
    first = await bench.occupy()
    with deadline.within(0.01):
        late = bench.send(30)
    await asyncio.sleep(0.05)
    bench.model.gate.set()
    with pytest.raises(DeadlineExceeded):
        await late
    await first
    assert bench.model.ran == [[1]]


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(bench: Bench) -> None:
    first = await bench.occupy()
    full = bench.send(*[10] * 100)
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted) as refused:
        await bench.send(1)
    assert refused.value.reason is Reason.OVERLOADED
    assert refused.value.retry_after_s is not None
    assert 0.1 <= refused.value.retry_after_s <= 30
    with pytest.raises(ResourceExhausted):
        bench.scheduler.ensure_room(AT_ONCE)
    bench.scheduler.ensure_room(PATIENT)  # waits in ``run``
    bench.model.gate.set()
    await asyncio.gather(first, full)


async def test_a_patient_call_waits_for_room(bench: Bench) -> None:
    first = await bench.occupy()
    full = bench.send(*[10] * 100)
    await asyncio.sleep(0)
    patient = [bench.send(20, turn=PATIENT), bench.send(*[3] * 50, turn=PATIENT)]
    await asyncio.sleep(0.02)
    assert bench.queue.items == 100
    bench.model.gate.set()
    outcomes = await asyncio.gather(*patient, first, full)
    assert answers(outcomes[0]) == [20]
    assert answers(outcomes[1]) == [3] * 50


async def test_a_batch_that_fails_fails_its_own_callers_only(bench: Bench) -> None:
    first = await bench.occupy()
    unlucky, beside, elsewhere = bench.send(13), bench.send(14), bench.send(90)
    await asyncio.sleep(0)
    bench.model.gate.set()
    for task in (unlucky, beside):
        with pytest.raises(Internal) as failed:
            await task
        assert "bad luck" not in failed.value.message
    assert answers(await elsewhere) == [90]
    await first
    assert answers(await bench.send(4)) == [4]


async def test_numbers_that_are_none_are_an_error_of_that_input_only(bench: Bench) -> None:
    first = await bench.occupy()
    broken, fine = bench.send(17), bench.send(18)
    await asyncio.sleep(0)
    bench.model.gate.set()
    with pytest.raises(Internal, match="finite"):
        await broken
    assert answers(await fine) == [18]
    await first


async def test_close_fails_what_waits_and_runs_and_takes_nothing_more(bench: Bench) -> None:
    running = await bench.occupy()
    waiting = [bench.send(5), bench.send(*[10] * 99, turn=BULK), bench.send(9, 9, turn=PATIENT)]
    await asyncio.sleep(0)
    await bench.scheduler.close()
    for task in (running, *waiting, bench.send(6)):
        with pytest.raises(Unavailable) as closed:
            await task
        assert closed.value.reason is Reason.DRAINING
    assert bench.queue.items == 0


async def test_check_tells_a_stuck_batch_and_an_ended_scheduler(bench: Bench) -> None:
    bench.scheduler.check(stuck_after_s=0.0)
    running = await bench.occupy()
    bench.scheduler.check(stuck_after_s=30.0)
    await asyncio.sleep(0.02)
    with pytest.raises(Unavailable) as stuck:
        bench.scheduler.check(stuck_after_s=0.01)
    assert stuck.value.reason is Reason.ENGINE_DEAD
    bench.model.gate.set()
    await running
    await bench.scheduler.close()
    with pytest.raises(Unavailable):
        bench.scheduler.check(stuck_after_s=30.0)


async def test_check_tells_a_dead_thread(bench: Bench) -> None:
    await bench.worker.stop(timeout_s=5)
    with pytest.raises(MeshError):
        bench.scheduler.check(stuck_after_s=30.0)
