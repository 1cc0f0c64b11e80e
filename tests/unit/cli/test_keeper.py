"""One service kept running, with real child processes."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from groundmesh.cli.up.backoff import Backoff, BackoffPolicy
from groundmesh.cli.up.keeper import Keeper
from groundmesh.cli.up.probe import Health
from groundmesh.cli.up.status import State
from tests.unit.cli.services import (
    DIES,
    DRAINS,
    FAST,
    FORKS,
    IGNORES_SIGTERM,
    READY_THEN_SLEEP,
    FileProbe,
    Workshop,
    alive,
    kill_9,
)
from tests.waiting import until


@asynccontextmanager
async def kept(keeper: Keeper) -> AsyncIterator[None]:
    running = asyncio.create_task(keeper.run())
    try:
        yield
    finally:
        keeper.stop()
        async with asyncio.timeout(10):
            await running


def is_state(keeper: Keeper, state: State) -> Callable[[], bool]:
    return lambda: keeper.status.state is state


def grandchild(keeper: Keeper) -> int:
    found = re.search(r"grandchild (\d+)", "\n".join(keeper.log.tail(5)))
    assert found, "the program has not printed its child's process id"
    return int(found[1])


@pytest.mark.parametrize("body", [READY_THEN_SLEEP, DRAINS])
async def test_becomes_ready_and_stops_when_asked(workshop: Workshop, body: str) -> None:
    keeper = workshop.keeper("a", body)
    async with kept(keeper):
        await until(is_state(keeper, State.READY))
        pid = keeper.status.pid
        assert pid
        assert alive(pid)
    assert not alive(pid)
    states = [state for _, state in workshop.recorder.states]
    assert states == [State.STARTING, State.READY, State.STOPPING, State.STOPPED]
    assert not workshop.recorder.failures
    assert not workshop.recorder.killed


async def test_a_killed_service_is_started_again(workshop: Workshop) -> None:
    keeper = workshop.keeper("a", READY_THEN_SLEEP)
    async with kept(keeper):
        for restarts in range(3):
            await until(lambda n=restarts: keeper.status.restarts == n)  # type: ignore[misc]
            await until(is_state(keeper, State.READY))
            kill_9(keeper.status.pid)
            await until(lambda n=restarts: keeper.status.restarts > n)  # type: ignore[misc]
    assert [failure.how for failure in workshop.recorder.failures] == ["killed by SIGKILL"] * 3


async def test_what_dies_at_once_is_tried_again_ever_more_slowly(workshop: Workshop) -> None:
    keeper = workshop.keeper("a", DIES)
    failures = workshop.recorder.failures
    async with kept(keeper):
        await until(lambda: len(failures) >= 4)
    assert [failure.retry_in_s for failure in failures[:4]] == [0.02, 0.04, 0.08, 0.08]
    assert {failure.how for failure in failures} == {"exit code 7"}
    assert [failure.again for failure in failures[:3]] == [False, True, True]
    assert {failure.log_tail for failure in failures} == {("the reason",)}


async def test_a_command_that_is_not_there_is_a_failure_like_others(workshop: Workshop) -> None:
    keeper = workshop.keeper("a", "")
    keeper.spec = replace(keeper.spec, command=("/nowhere/at-all",))
    async with kept(keeper):
        await until(lambda: workshop.recorder.failures)
    assert "No such file" in workshop.recorder.failures[0].how


async def test_what_ignores_sigterm_is_killed_after_the_grace(workshop: Workshop) -> None:
    keeper = workshop.keeper("a", IGNORES_SIGTERM, policy=replace(FAST, stop_grace_s=0.2))
    async with kept(keeper):
        await until(is_state(keeper, State.READY))
        pid = keeper.status.pid
    assert pid
    assert not alive(pid)
    assert workshop.recorder.killed == ["a"]


@pytest.mark.parametrize("end", ["kill -9", "stop"])
async def test_a_grandchild_goes_with_its_service(workshop: Workshop, end: str) -> None:
    keeper = workshop.keeper("a", FORKS)
    async with kept(keeper):
        await until(is_state(keeper, State.READY))
        await until(lambda: keeper.log.tail(1))
        pid = grandchild(keeper)
        assert alive(pid)
        if end == "kill -9":
            kill_9(keeper.status.pid)
            await until(lambda: not alive(pid))
    await until(lambda: not alive(pid))


async def test_cancelling_kills_at_once(workshop: Workshop) -> None:
    keeper = workshop.keeper("a", IGNORES_SIGTERM)
    running = asyncio.create_task(keeper.run())
    await until(is_state(keeper, State.READY))
    pid = keeper.status.pid
    running.cancel()
    async with asyncio.timeout(2):
        await asyncio.wait({running})
    assert pid
    assert not alive(pid)
    assert keeper.status.state is State.STOPPED


async def test_stops_while_it_waits_to_restart(workshop: Workshop) -> None:
    slow = replace(FAST, backoff=BackoffPolicy(first_s=60))
    keeper = workshop.keeper("a", DIES, policy=slow)
    async with kept(keeper):
        await until(is_state(keeper, State.RESTARTING))
    assert keeper.status.state is State.STOPPED


class ScriptedProbe(FileProbe):
    """Says what it is told to, whatever the process does."""

    health = Health.SILENT

    async def check(self) -> Health:
        return self.health


async def test_a_service_that_goes_unready_is_shown_so_and_left_alone(workshop: Workshop) -> None:
    probe = ScriptedProbe(workshop.folder / "unused")
    keeper = workshop.keeper("a", READY_THEN_SLEEP, probe=probe)
    async with kept(keeper):
        probe.health = Health.READY
        await until(is_state(keeper, State.READY))
        pid = keeper.status.pid
        probe.health = Health.NOT_READY
        await until(is_state(keeper, State.NOT_READY))
        probe.health = Health.READY
        await until(is_state(keeper, State.READY))
        assert keeper.status.pid == pid


async def test_one_silent_moment_is_not_shown(workshop: Workshop) -> None:
    probe = ScriptedProbe(workshop.folder / "unused")
    policy = replace(FAST, unready_s=0.5)
    keeper = workshop.keeper("a", READY_THEN_SLEEP, probe=probe, policy=policy)
    async with kept(keeper):
        probe.health = Health.READY
        await until(is_state(keeper, State.READY))
        probe.health = Health.SILENT
        await asyncio.sleep(0.1)
        assert keeper.status.state is State.READY
        await until(is_state(keeper, State.NOT_READY))


async def test_a_hung_service_is_killed_and_started_again(workshop: Workshop) -> None:
    probe = ScriptedProbe(workshop.folder / "unused")
    keeper = workshop.keeper("a", READY_THEN_SLEEP, probe=probe, policy=replace(FAST, silent_s=0.1))
    async with kept(keeper):
        probe.health = Health.READY
        await until(is_state(keeper, State.READY))
        probe.health = Health.SILENT
        await until(lambda: workshop.recorder.failures)
    assert "no sign of life" in workshop.recorder.failures[0].how


async def test_a_slow_start_is_not_taken_for_hung(workshop: Workshop) -> None:
    probe = ScriptedProbe(workshop.folder / "unused")
    keeper = workshop.keeper("a", READY_THEN_SLEEP, probe=probe, policy=replace(FAST, silent_s=0.0))
    async with kept(keeper):
        await asyncio.sleep(0.2)
        assert keeper.status.state is State.STARTING
    assert not workshop.recorder.failures


def test_the_backoff_doubles_to_its_bound_and_begins_anew_after_health() -> None:
    backoff = Backoff(BackoffPolicy(first_s=1, max_s=5, healthy_s=60))
    assert [backoff.delay_after(ready_for_s=0) for _ in range(4)] == [1, 2, 4, 5]
    assert backoff.delay_after(ready_for_s=59) == 5
    assert backoff.delay_after(ready_for_s=60) == 1
    assert backoff.delay_after(ready_for_s=1) == 2
