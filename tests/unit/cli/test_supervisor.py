"""The whole mesh, with real child processes: order, stops, signals, and nothing left behind."""

import asyncio
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from groundmesh.cli.up.keeper import Keeper
from groundmesh.cli.up.status import State
from groundmesh.cli.up.supervisor import Supervisor
from tests.unit.cli.services import (
    DIES,
    FAST,
    IGNORES_SIGTERM,
    READY_THEN_SLEEP,
    Workshop,
    alive,
    kill_9,
)
from tests.waiting import until


@asynccontextmanager
async def supervised(*keepers: Keeper) -> AsyncIterator[Supervisor]:
    stop = asyncio.Event()
    supervisor = Supervisor(keepers, stop=stop)
    running = asyncio.create_task(supervisor.run())
    try:
        yield supervisor
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await running


def order(workshop: Workshop, state: State) -> list[str]:
    return [name for name, reached in workshop.recorder.states if reached is state]


async def test_stops_callers_before_what_they_call(workshop: Workshop) -> None:
    keepers = [
        workshop.keeper("store", READY_THEN_SLEEP),
        workshop.keeper("retriever", READY_THEN_SLEEP, calls=["store"]),
        workshop.keeper("gateway", READY_THEN_SLEEP, calls=["retriever"]),
    ]
    async with supervised(*keepers) as supervisor:
        await until(lambda: supervisor.ready)
    assert order(workshop, State.STOPPED) == ["gateway", "retriever", "store"]


async def test_one_that_never_comes_up_keeps_no_other_from_it(workshop: Workshop) -> None:
    dying = workshop.keeper("dying", DIES)
    needy = workshop.keeper("needy", READY_THEN_SLEEP, calls=["dying"])
    async with supervised(dying, needy) as supervisor:
        await until(lambda: needy.status.state is State.READY)
        await until(lambda: len(workshop.recorder.failures) > 2)
        assert not supervisor.ready
    assert order(workshop, State.STOPPED) == ["needy", "dying"]


async def test_cancelling_kills_everything_at_once(workshop: Workshop) -> None:
    keepers = [workshop.keeper(name, IGNORES_SIGTERM) for name in ("a", "b")]
    supervisor = Supervisor(keepers, stop=asyncio.Event())
    running = asyncio.create_task(supervisor.run())
    await until(lambda: supervisor.ready)
    pids = [status.pid for status in supervisor.statuses]
    running.cancel()
    async with asyncio.timeout(3):
        await asyncio.wait({running})
    assert not any(alive(pid) for pid in pids if pid)


async def test_a_stop_is_bounded_however_many_refuse(workshop: Workshop) -> None:
    stubborn = replace(FAST, stop_grace_s=0.2)
    keepers = [
        workshop.keeper("store", IGNORES_SIGTERM, policy=stubborn),
        workshop.keeper("gateway", IGNORES_SIGTERM, policy=stubborn, calls=["store"]),
    ]
    async with supervised(*keepers) as supervisor:
        await until(lambda: supervisor.ready)
    assert workshop.recorder.killed == ["gateway", "store"]


class UpProcess:
    """A tiny mesh in a process of its own, as ``groundmesh up`` is one."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []

    @classmethod
    @asynccontextmanager
    async def start(cls, folder: Path, *flags: str) -> AsyncIterator["UpProcess"]:
        command = (sys.executable, "-m", "tests.unit.cli.tiny_mesh", str(folder), *flags)
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def said(self, text: str) -> None:
        assert self.process.stdout
        async with asyncio.timeout(20):
            async for line in self.process.stdout:
                self.lines.append(line.decode().rstrip())
                if text in self.lines[-1]:
                    return
        raise AssertionError(f"never said {text!r}, but: {self.lines}")

    async def ended(self) -> int:
        assert self.process.stdout
        async with asyncio.timeout(20):
            self.lines += (await self.process.stdout.read()).decode().splitlines()
            return await self.process.wait()

    @property
    def pids(self) -> Sequence[int]:
        """Every process that the mesh said it had started, grandchildren included."""
        found = re.findall(r"(?:process|grandchild) (\d+)", "\n".join(self.lines))
        return [int(pid) for pid in found]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_everything_in_order(tmp_path: Path, how: signal.Signals) -> None:
    async with UpProcess.start(tmp_path) as up:
        await up.said("all 2 services are ready")
        up.process.send_signal(how)
        assert await up.ended() == 0
    assert len(up.pids) == 3
    assert not any(alive(pid) for pid in up.pids)
    assert up.lines[-1] == "all services have stopped"


async def test_a_second_signal_kills_everything_at_once(tmp_path: Path) -> None:
    async with UpProcess.start(tmp_path, "--stubborn") as up:
        await up.said("all 2 services are ready")
        up.process.send_signal(signal.SIGINT)
        await up.said("store: stopping")
        began = time.monotonic()
        up.process.send_signal(signal.SIGINT)
        await up.ended()
        assert time.monotonic() - began < FAST.stop_grace_s / 2
    assert not any(alive(pid) for pid in up.pids)


async def test_kill_9_of_the_supervisor_leaves_nobody(tmp_path: Path) -> None:
    async with UpProcess.start(tmp_path) as up:
        await up.said("all 2 services are ready")
        assert len(up.pids) == 3
        kill_9(up.process.pid)
        await until(lambda: not any(alive(pid) for pid in up.pids), within_s=5)


async def test_stops_when_nobody_reads_any_more(tmp_path: Path) -> None:
    """As in ``groundmesh up | head -1``."""
    async with UpProcess.start(tmp_path) as up:
        await up.said("all 2 services are ready")
        assert up.process.stdout
        up.process.stdout._transport.close()  # type: ignore[attr-defined]
        kill_9(up.pids[0])
        async with asyncio.timeout(20):
            await up.process.wait()
        assert up.process.returncode == 0  # stopped in order, and not by an error
    await until(lambda: not any(alive(pid) for pid in up.pids))
