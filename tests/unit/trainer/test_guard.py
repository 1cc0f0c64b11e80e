"""Nothing of a guarded command stays behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

GUARD = (sys.executable, "-m", "groundmesh_trainer.guard", sys.executable, "-c")

# Starts a child in a session of its own, which starts another and ends: an orphan, out of sight of
# process groups. Each writes its number; then the command goes on, or ends with code 3.
FAMILY = textwrap.dedent("""
    import os, subprocess, sys, tempfile, time
    folder, ends = sys.argv[1:]
    child = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"
    subprocess.run([sys.executable, "-c", child], start_new_session=True)
    open(f"{folder}/scratch", "w").write(tempfile.gettempdir())
    os.rename(f"{folder}/scratch", f"{folder}/started")
    if ends == "yes":
        sys.exit(3)
    time.sleep(600)
""")


def wait_for(condition: Callable[[], object], *, within_s: float = 20) -> None:
    limit = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < limit, "not in time"
        time.sleep(0.02)


def start(folder: Path, *, ends: str = "no") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*GUARD, FAMILY, str(folder), ends], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )


def family_of(guard: subprocess.Popen[bytes], folder: Path) -> list[psutil.Process]:
    wait_for((folder / "started").exists)
    family = psutil.Process(guard.pid).children(recursive=True)
    assert "sleep" in {process.name() for process in family}
    return family


def all_gone(family: list[psutil.Process], folder: Path) -> bool:
    scratch = Path((folder / "started").read_text())
    return not any(process.is_running() for process in family) and not scratch.exists()


@pytest.mark.parametrize("way", ["stdin ends", "command is killed", "told to end"])
def test_ends_the_whole_family(tmp_path: Path, way: str) -> None:
    with start(tmp_path) as guard:
        family = family_of(guard, tmp_path)
        assert guard.stdin is not None
        if way == "stdin ends":
            guard.stdin.close()
        elif way == "told to end":
            guard.terminate()
        else:
            family[0].send_signal(signal.SIGKILL)
        guard.wait(10)
        assert all_gone(family, tmp_path)


def test_gives_the_exit_code_of_the_command(tmp_path: Path) -> None:
    with start(tmp_path, ends="yes") as guard:
        assert guard.wait(20) == 3
        scratch = Path((tmp_path / "started").read_text())
    assert not scratch.exists()
    assert not [p for p in psutil.process_iter(["environ"]) if str(scratch) in str(p.info)]


def test_outlives_whoever_started_it_just_long_enough(tmp_path: Path) -> None:
    starter = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)"
    command = [*GUARD, FAMILY, str(tmp_path), "no"]
    parent = subprocess.Popen([sys.executable, "-c", f"{starter}; time.sleep(600)", *command])
    wait_for((tmp_path / "started").exists)
    family = psutil.Process(parent.pid).children(recursive=True)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(10)
    wait_for(lambda: all_gone(family, tmp_path), within_s=5)
