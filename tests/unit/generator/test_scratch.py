"""Temporary folders that survive no process for long."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundmesh_generator.backends.scratch import SETTLED_S, ScratchFolder

KILLED = """
import os, signal
from groundmesh_generator.backends.scratch import ScratchFolder
folder = ScratchFolder()
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def left_by_a_killed_process() -> Path:
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=30, check=False
    )
    return Path(done.stdout.strip())


def let_it_be_old(folder: Path) -> None:
    then = time.time() - SETTLED_S - 1
    os.utime(folder, (then, then))


def test_it_is_removed_with_all_that_is_in_it() -> None:
    folder = ScratchFolder()
    (folder.path / "socket").touch()
    folder.remove()
    folder.remove()
    assert not folder.path.exists()


def test_what_a_killed_process_left_is_removed_by_the_next() -> None:
    left = left_by_a_killed_process()
    assert left.is_dir()
    let_it_be_old(left)
    ScratchFolder().remove()
    assert not left.exists()


def test_what_is_in_use_or_new_stays() -> None:
    used, new = ScratchFolder(), left_by_a_killed_process()
    let_it_be_old(used.path)
    ScratchFolder().remove()
    assert used.path.is_dir()
    assert new.is_dir()
    used.remove()
