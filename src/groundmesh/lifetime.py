"""Child processes die with their parent, however it dies (Linux).

As a command, ``python -m groundmesh.lifetime [--parent PID] -- COMMAND...`` becomes COMMAND, tied
to the process that started it. ``tied`` makes that command line.

The kernel watches the *thread* that started the child: start children from a thread that lasts as
long as they may, such as the main one.
"""

import argparse
import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PARENT_PID_VARIABLE = "GROUNDMESH_PARENT_PID"
"""Names the parent to a child whose command line can't be changed but that calls
``die_with_parent``. The parent itself is not tied by it, and grandchildren don't see it."""

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int | None = None) -> None:
    """Have the kernel kill this process (SIGKILL) as soon as its parent ends.

    ``parent_pid`` (else ``GROUNDMESH_PARENT_PID``) closes the gap before this call: if another
    process has inherited this one by now, the parent is gone, and this one exits at once. Children
    don't inherit the tie: each ties itself. It is lost on exec of a set-uid program.
    """
    expected = parent_pid or int(os.environ.get(PARENT_PID_VARIABLE, "0")) or None
    if expected == os.getpid():
        return
    os.environ.pop(PARENT_PID_VARIABLE, None)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_PDEATHSIG): {os.strerror(number)}")
    if expected is not None and os.getppid() != expected:
        os._exit(1)


def tied(command: Sequence[str]) -> tuple[str, ...]:
    """``command`` wrapped so that it, started by this process, dies with it."""
    wrapper = (sys.executable, "-m", "groundmesh.lifetime", "--parent", str(os.getpid()), "--")
    return (*wrapper, *command)


def main(argv: Sequence[str] | None = None) -> None:
    """Tie this process to its parent and become the command that is given."""
    parser = argparse.ArgumentParser(
        prog="python -m groundmesh.lifetime", description="Run COMMAND until its parent ends."
    )
    parser.add_argument("--parent", type=int, help="process id of the parent, if it is known")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    arguments = parser.parse_args(argv)
    die_with_parent(arguments.parent)
    try:
        os.execvp(arguments.command[0], arguments.command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        parser.exit(127, f"{arguments.command[0]}: {error.strerror}\n")


if __name__ == "__main__":
    main()
