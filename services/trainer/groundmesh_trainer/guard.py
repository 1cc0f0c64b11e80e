"""``python -m groundmesh_trainer.guard COMMAND...``: run it, and leave nothing of it behind.

Everything that COMMAND started, and what that started, is killed when COMMAND ends, or when the
standard input does, which is when whoever started this goes, however it goes. Ray needs it: its
agents outlived a killed driver by more than 24 s, and each worker has a process group of its own.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from groundmesh.lifetime import tied

PR_SET_CHILD_SUBREAPER = 36
END_LIMIT_S = 4.0
PAUSE_S = 0.02


def main(command: Sequence[str]) -> int:
    """Run the command with a scratch folder as TMPDIR; its exit code."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    # Orphans in the family become our children, so that none gets out of sight.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    with tempfile.TemporaryDirectory(prefix="gm-", ignore_cleanup_errors=True) as scratch:
        child = subprocess.Popen(
            tied(command), stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": scratch}
        )
        try:
            ended = os.pidfd_open(child.pid)
            select.select([sys.stdin, ended], [], [])
            return child.poll() or 0
        finally:
            end_family()


def end_family() -> None:
    """Kill every process below this one, and wait until they are gone."""
    limit = time.monotonic() + END_LIMIT_S
    while (family := descendants(os.getpid())) and time.monotonic() < limit:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        time.sleep(PAUSE_S)


def descendants(pid: int) -> set[int]:
    """The processes that come from ``pid``, but not itself."""
    children: defaultdict[int, set[int]] = defaultdict(set)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # "PID (NAME) STATE PARENT ...", and NAME may hold anything.
            parent = stat.read_text().rpartition(")")[2].split()[1]
            children[int(parent)].add(int(stat.parent.name))
    found: set[int] = set()
    newest = {pid}
    while newest := set[int]().union(*(children[parent] for parent in newest)) - found:
        found |= newest
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
