"""A temporary folder that is removed even when its process is killed: by the next one."""

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

PREFIX = "groundmesh-generator-"

SETTLED_S = 60
"""A younger folder may be one that its process has not locked yet."""


class ScratchFolder:
    """A folder of this process, locked as long as it lives; the kernel ends the lock with it."""

    def __init__(self) -> None:
        """Make it, and remove those whose processes are gone."""
        _sweep()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _locked(self.path)

    def remove(self) -> None:
        """Remove it with all that is in it; callable twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(folder: Path) -> int | None:
    """The lock of a folder; None when another process has it, or the folder is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            age_s = time.time() - folder.stat().st_mtime
        except OSError:  # somebody else removed it
            continue
        if age_s > SETTLED_S and (lock := _locked(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
