"""A service as a process: signals, exit codes and what it prints."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from groundmesh.channel import open_channel
from tests.mesh.echo import SHAPES, call

_COMMAND = (sys.executable, "-m", "tests.mesh.echo_process")


@asynccontextmanager
async def started(*flags: str, **environment: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *_COMMAND, *flags, stdout=PIPE, stderr=PIPE, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_with(process: Process, key: str) -> dict[str, Any]:
    """The first log line that has a field."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        async for line in process.stdout:
            fields: dict[str, Any] = json.loads(line)
            if key in fields:
                return fields
    raise AssertionError(f"ended without a line with {key}")


async def outcome(process: Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_ends_with_0(number: signal.Signals) -> None:
    async with started("--drain-pause-s=0.2", "--work-s=0.5") as process:
        address = (await line_with(process, "startup_s"))["address"]
        async with open_channel(address) as channel:
            calls = [asyncio.ensure_future(call(channel, shape, "x")) for shape in SHAPES]
            await asyncio.sleep(0.2)
            process.send_signal(number)
            assert await asyncio.gather(*calls) == [["x"]] * 4
        code, out, err = await outcome(process)
    assert (code, err) == (0, "")
    messages = [json.loads(line)["message"] for line in out.splitlines()]
    assert messages[-1] == "echo has stopped"


async def test_a_second_signal_ends_at_once() -> None:
    async with started("--drain-pause-s=30") as process:
        await line_with(process, "startup_s")
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code, _, _ = await outcome(process)
        assert time.monotonic() - since < 10
    assert code == 128 + signal.SIGTERM


async def test_an_engine_that_refuses_ends_with_1_and_says_it_plainly() -> None:
    async with started("--engine=refuses", "--log-format=text") as process:
        code, out, err = await outcome(process)
    assert code == 1
    assert "no such model: x" in out
    assert "Traceback" not in out + err


async def test_a_bug_in_the_start_ends_with_1() -> None:
    async with started("--engine=buggy") as process:
        code, out, _ = await outcome(process)
    assert code == 1
    assert "ZeroDivisionError" in out


async def test_an_engine_that_dies_ends_the_process_with_1() -> None:
    async with started("--engine=dies", "--engine-check-interval-s=0.1") as process:
        code, out, _ = await outcome(process)
    assert code == 1
    assert "the engine has died" in out


async def test_a_start_that_can_not_be_interrupted_is_left_behind() -> None:
    flags = ("--engine=stuck", "--drain-pause-s=0", "--drain-grace-s=0")
    async with started(*flags) as process:
        await line_with(process, "address")
        process.send_signal(signal.SIGTERM)
        code, _, _ = await outcome(process)
    assert code == 0


async def test_a_second_process_on_the_port_says_so_and_ends_with_1() -> None:
    async with started() as first:
        address = (await line_with(first, "address"))["address"]
        async with started(f"--port={address.rpartition(':')[2]}", "--log-format=text") as second:
            code, out, err = await outcome(second)
    assert code == 1
    assert f"can't listen on {address}" in out
    assert "Traceback" not in out + err


async def test_a_bad_flag_or_variable_is_one_line_and_2() -> None:
    for flags, environment in ((["--port=x"], {}), ([], {"GROUNDMESH_ECHO_PORT": "x"})):
        async with started(*flags, **environment) as process:
            code, out, err = await outcome(process)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1
        assert "--port" in err
        assert "GROUNDMESH_ECHO_PORT" in err


async def test_help_shows_each_flag_with_its_variable_and_default() -> None:
    async with started("--help") as process:
        code, out, err = await outcome(process)
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    assert "--work-s FLOAT How long a call takes. (default 0.0) [GROUNDMESH_ECHO_WORK_S]" in text
    assert "[GROUNDMESH_ECHO_DRAIN_GRACE_S]" in text
