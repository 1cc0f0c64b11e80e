import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.errors import ResourceExhausted
from groundmesh.server.admission import Admission


class Caller:
    """A call that holds its slot until it is told to leave."""

    def __init__(self, admission: Admission, *, bulk: bool = False) -> None:
        self.running = False
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._run(admission, bulk=bulk))

    async def _run(self, admission: Admission, *, bulk: bool) -> None:
        async with admission.slot(bulk=bulk):
            self.running = True
            await self.leave.wait()

    async def end(self) -> None:
        self.leave.set()
        await self.task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def bounded(*, running: int = 1, waiting: int = 2, streams: int = 1) -> Admission:
    return Admission(max_running=running, max_waiting=waiting, max_streams=streams)


async def test_first_come_first_served_within_a_kind() -> None:
    admission = bounded(waiting=3)
    first, second, third = (Caller(admission) for _ in range(3))
    await settle()
    assert (admission.running, admission.waiting) == (1, 2)
    await first.end()
    await settle()
    assert (second.running, third.running) == (True, False)
    await second.end()
    await third.end()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_interactive_goes_before_bulk() -> None:
    admission = bounded()
    first = Caller(admission)
    await settle()
    bulk = Caller(admission, bulk=True)
    await settle()
    interactive = Caller(admission)
    await settle()
    await first.end()
    await settle()
    assert (interactive.running, bulk.running) == (True, False)
    await interactive.end()
    await bulk.end()


async def test_a_full_queue_refuses_and_says_when_to_retry() -> None:
    admission = bounded(waiting=0)
    first = Caller(admission)
    await settle()
    with pytest.raises(ResourceExhausted) as caught:
        async with admission.slot():
            pass
    assert caught.value.retry_after_s is not None
    assert 0.1 <= caught.value.retry_after_s <= 10
    await first.end()


async def test_an_interactive_call_takes_the_place_of_the_last_bulk_call_in_a_full_queue() -> None:
    admission = bounded(waiting=2)
    first = Caller(admission)
    await settle()
    bulk = [Caller(admission, bulk=True) for _ in range(2)]
    await settle()
    interactive = Caller(admission)
    await settle()
    assert isinstance(bulk[1].task.exception(), ResourceExhausted)
    late = Caller(admission, bulk=True)
    await settle()
    assert isinstance(late.task.exception(), ResourceExhausted)
    for caller in (first, interactive, bulk[0]):
        await caller.end()


async def test_a_slot_that_comes_as_the_caller_leaves_goes_to_the_next() -> None:
    admission = bounded()
    async with admission.slot():
        leaving, next_ = Caller(admission), Caller(admission)
        await settle()
    leaving.task.cancel()  # the slot is its own by now, but it has not run since
    await settle()
    assert next_.running
    await next_.end()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_caller_that_leaves_just_before_its_turn_is_passed_over() -> None:
    admission = bounded()
    async with admission.slot():
        leaving, next_ = Caller(admission), Caller(admission)
        await settle()
        leaving.task.cancel()
    await settle()
    assert next_.running
    await next_.end()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_room_is_made_by_a_bulk_call_that_is_leaving_anyway() -> None:
    admission = bounded(waiting=1)
    async with admission.slot():
        leaving = Caller(admission, bulk=True)
        await settle()
        leaving.task.cancel()
        interactive = Caller(admission)
        await settle()
        assert leaving.task.cancelled()
        assert admission.waiting == 1
    await settle()
    assert interactive.running
    await interactive.end()


async def test_streams_have_places_of_their_own() -> None:
    admission = bounded()
    with admission.stream():
        assert admission.streams == 1
        async with admission.slot():
            with pytest.raises(ResourceExhausted), admission.stream():
                pass
    assert (admission.streams, admission.running) == (0, 0)


_STEPS = st.lists(
    st.tuples(st.sampled_from(["come", "come bulk", "end", "cancel"]), st.integers(0, 20)),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(steps=_STEPS)
def test_whatever_happens_bounds_hold_and_nobody_is_forgotten(
    steps: list[tuple[str, int]],
) -> None:
    asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, int]]) -> None:
    admission = bounded(running=2, waiting=3)
    callers: list[Caller] = []
    for step, which in steps:
        present = [caller for caller in callers if not caller.task.done()]
        if step.startswith("come"):
            callers.append(Caller(admission, bulk=step == "come bulk"))
        elif present and step == "end":
            present[which % len(present)].leave.set()
        elif present:
            present[which % len(present)].task.cancel()
        if which % 3:  # now and then two steps fall into one turn of the loop
            await settle()
        assert admission.running <= 2
        assert admission.waiting <= 3
    for caller in callers:
        caller.leave.set()
    results = await asyncio.gather(*(c.task for c in callers), return_exceptions=True)
    assert all(
        result is None or isinstance(result, ResourceExhausted | asyncio.CancelledError)
        for result in results
    )
    assert (admission.running, admission.waiting) == (0, 0)
