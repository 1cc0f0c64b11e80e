"""Processes that are tied to the one that started them."""

import json
import os
import signal
import subprocess
import sys
from multiprocessing import spawn
from pathlib import Path

import psutil
import pytest

from groundmesh_generator.backends.base import EngineLogs
from groundmesh_generator.children import tied_children

PARENT = """
import logging, multiprocessing, os, sys, time
from multiprocessing.shared_memory import SharedMemory
from groundmesh_generator.backends.base import EngineLogs
from groundmesh_generator.children import tied_children

def rest(depth):
    memory = SharedMemory(create=True, size=64)
    print(memory.name, flush=True)
    if depth:
        multiprocessing.get_context("spawn").Process(target=rest, args=(depth - 1,)).start()
    else:
        print(os.getpid(), flush=True)
        logging.getLogger("vllm.deep").error("heard")
        logging.getLogger("vllm.deep").warning("not heard")
    time.sleep(60)

if __name__ == "__main__":
    with tied_children(EngineLogs(format="json", engine_level="error")):
        rest(2)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "parent.py"
    path.write_text(PARENT)
    return path


def test_all_end_with_a_killed_parent_and_leave_no_shared_memory(script: Path) -> None:
    command = [sys.executable, str(script)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        memory = [Path("/dev/shm") / parent.stdout.readline().strip() for _ in range(3)]
        deepest = psutil.Process(int(parent.stdout.readline()))
        line = json.loads(parent.stdout.readline())
        descendants = psutil.Process(parent.pid).children(recursive=True)
        assert deepest in descendants
        assert all(each.exists() for each in memory)
        os.killpg(parent.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(descendants, timeout=5)
        rest = parent.stdout.read()
    assert not alive
    assert (line["message"], line["service"], line["logger"]) == ("heard", "generator", "vllm.deep")
    assert rest == "", "a message below its level, or news of what was cleaned up"
    assert not any(each.exists() for each in memory)


def test_a_child_whose_parent_has_gone_meanwhile_ends_at_once() -> None:
    # As if the parent had been killed between starting it and its first step.
    environment = {**os.environ, "GROUNDMESH_PARENT_PID": "1"}
    child = Path(sys.executable).parent / "groundmesh-generator-child"
    done = subprocess.run(
        [child, "-c", "print('alive')"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")


def test_outside_the_block_all_is_as_before() -> None:
    before = (sys.executable, spawn.get_executable())
    environment = dict(os.environ)
    with tied_children(EngineLogs()):
        assert sys.executable.endswith("groundmesh-generator-child")
        code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
        done = subprocess.run([sys.executable, "-c", code], timeout=20, check=False)
        assert done.returncode == -signal.SIGTERM
    after = (sys.executable, os.fsdecode(spawn.get_executable()))
    assert after == (before[0], os.fsdecode(before[1]))
    assert dict(os.environ) == environment
