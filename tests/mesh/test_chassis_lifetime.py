"""Children die with their parent, shown on real processes."""

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from groundmesh.lifetime import PARENT_PID_VARIABLE, die_with_parent, tied
from tests.waiting import until

_SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(120)"

_TIED_BY_COMMAND = f"""
import subprocess, sys
from groundmesh.lifetime import tied
child = subprocess.Popen(tied([sys.executable, "-c", {_SLEEP!r}]))
child.wait()
"""

_TIED_BY_VARIABLE = f"""
import os, subprocess, sys
from groundmesh.lifetime import die_with_parent
os.environ["GROUNDMESH_PARENT_PID"] = str(os.getpid())
die_with_parent()  # the named parent itself is left alone
code = "from groundmesh.lifetime import die_with_parent; die_with_parent(); " + {_SLEEP!r}
child = subprocess.Popen([sys.executable, "-c", code])
child.wait()
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@asynccontextmanager
async def parent_running(code: str) -> AsyncIterator[tuple[Process, int]]:
    """A parent, and the process id that its child prints once it is what it should be."""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE)
    assert parent.stdout is not None
    try:
        async with asyncio.timeout(20):
            yield parent, int(await parent.stdout.readline())
    finally:
        if parent.returncode is None:
            parent.kill()
        await parent.communicate()


@pytest.mark.parametrize("code", [_TIED_BY_COMMAND, _TIED_BY_VARIABLE], ids=["command", "variable"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_tied_child_dies_with_its_parent(code: str, number: signal.Signals) -> None:
    async with parent_running(code) as (parent, child):
        assert alive(child)
        parent.send_signal(number)
        await until(lambda: not alive(child), within_s=2)


async def test_a_child_whose_parent_went_before_the_tie_exits() -> None:
    somebody_else = os.getppid()
    command = [*tied(["sleep", "120"])]
    command[command.index("--parent") + 1] = str(somebody_else)
    process = await asyncio.create_subprocess_exec(*command)
    async with asyncio.timeout(5):
        assert await process.wait() == 1


async def test_the_command_sees_neither_the_wrapper_nor_the_variable() -> None:
    code = f"import os, sys; print(sys.argv[1:], {PARENT_PID_VARIABLE!r} in os.environ)"
    process = await asyncio.create_subprocess_exec(
        *tied([sys.executable, "-c", code, "--parent", "7", "--", "x"]),
        stdout=PIPE,
        env={**os.environ, PARENT_PID_VARIABLE: str(os.getpid())},
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "['--parent', '7', '--', 'x'] False"


def test_a_command_that_does_not_exist_is_named() -> None:
    done = subprocess.run(tied(["/no/such/command"]), capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert "/no/such/command: No such file" in done.stderr


def test_nothing_happens_to_the_named_parent_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PARENT_PID_VARIABLE, str(os.getpid()))
    die_with_parent()
    assert os.environ[PARENT_PID_VARIABLE] == str(os.getpid())
