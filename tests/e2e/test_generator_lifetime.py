"""The generator's processes: none is left, and none goes on, when one of them is killed."""

import asyncio
import signal
import time
from pathlib import Path

import psutil
import pytest

from groundmesh.errors import Reason, Unavailable
from tests.generator_process import (
    START_LIMIT_S,
    assert_gone,
    children_of,
    command_of,
    endless,
    generator_client,
    generator_process,
)
from tests.waiting import until

pytestmark = pytest.mark.e2e


HEARD_LIMIT_S = {signal.SIGKILL: 5, signal.SIGSTOP: 20}
"""A process that ends is seen at once; one that hangs by the check that it does not answer."""


@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param("EngineCore", signal.SIGKILL, id="engine core killed"),
        pytest.param("EngineCore", signal.SIGSTOP, id="engine core hangs"),
        pytest.param("Worker", signal.SIGKILL, id="worker killed", marks=pytest.mark.slow),
        pytest.param("Worker", signal.SIGSTOP, id="worker hangs", marks=pytest.mark.slow),
    ],
)
async def test_when_the_engine_dies_or_hangs_its_callers_hear_and_the_process_ends(
    tmp_path: Path, name: str, how: signal.Signals
) -> None:
    async with generator_client(tmp_path) as client:
        running = asyncio.create_task(client.answer(endless()))
        await client.busy()
        children = children_of(client.service)
        (victim,) = [child for child in children if f"VLLM::{name}" in command_of(child)]
        victim.send_signal(how)
        since = time.monotonic()
        with pytest.raises(Unavailable) as heard:
            await asyncio.wait_for(running, HEARD_LIMIT_S[how])
        heard_s = time.monotonic() - since
        assert heard.value.reason is Reason.ENGINE_DEAD
        assert await asyncio.wait_for(client.service.process.wait(), 10) == 1
        ended_s = time.monotonic() - since
        print(f"heard after {heard_s:.1f} s, ended after {ended_s:.1f} s")  # noqa: T201
        await assert_gone(children)


@pytest.mark.parametrize(
    ("how", "depth"),
    [
        pytest.param(signal.SIGKILL, 1, id="killed, engine core"),
        pytest.param(signal.SIGKILL, 2, id="killed, worker"),
        pytest.param(signal.SIGTERM, 1, id="stopped, engine core"),
        pytest.param(signal.SIGTERM, 2, id="stopped, worker", marks=pytest.mark.slow),
    ],
)
async def test_ended_while_it_starts_a_process_it_leaves_none(
    tmp_path: Path, how: signal.Signals, depth: int
) -> None:
    async with generator_process(tmp_path) as service:
        await until(lambda: spawned(service.process.pid, depth), within_s=START_LIMIT_S)
        children = children_of(service)
        service.process.send_signal(how)
        code = await asyncio.wait_for(service.process.wait(), 15)
        assert code == (0 if how is signal.SIGTERM else -signal.SIGKILL)
        await assert_gone(children)


def spawned(pid: int, depth: int) -> bool:
    """Whether there is a process of the engine that many levels below."""
    found = [psutil.Process(pid)]
    for _ in range(depth):
        below = [child for process in found for child in process.children()]
        # They name themselves once they have imported what they need.
        found = [
            child
            for child in below
            if any(name in command_of(child) for name in ("spawn_main", "VLLM::"))
        ]
    return bool(found)
