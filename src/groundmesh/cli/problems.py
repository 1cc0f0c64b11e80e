"""What goes wrong on the command line: a plain line or two and an exit code, never a traceback."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import Any, NoReturn

from groundmesh.errors import DeadlineExceeded, MeshError, Reason, Unavailable


class Exit(IntEnum):
    """The exit codes of ``groundmesh``."""

    DONE = 0
    FAILED = 1
    """Something that was asked for did not happen; stderr says what."""
    USAGE = 2
    """The command line is wrong."""
    UNREACHABLE = 3
    """The mesh, or a service that the call needs, is away, busy or not ready: try again later."""
    INTERRUPTED = 130
    """Ctrl-C."""
    BROKEN_PIPE = 141
    """Whoever read the output has gone."""


class Problem(Exception):
    """A failure in the words of its reader: what happened, with what, and what to do about it."""

    def __init__(self, message: str, *, hint: str = "", exit_code: Exit = Exit.FAILED) -> None:
        """``hint`` is the second line: what to do."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


_HINTS = {
    Reason.NOT_READY: "it still starts; `groundmesh status` shows how far it is",
    Reason.COLLECTION_NOT_FOUND: "`groundmesh collections list` shows what is there",
    Reason.DOCUMENT_NOT_FOUND: "`groundmesh documents list --collection C` shows what is there",
    Reason.MODEL_NOT_FOUND: "`groundmesh status` shows the models that are served",
    Reason.DEADLINE_PASSED: "try again, or give it more time with --timeout",
    Reason.OVERLOADED: "the mesh is busy; try again in a moment",
    Reason.INTERNAL_ERROR: "the service's log has the details: logs/ in the data folder of `up`",
}
_AWAY_HINT = "`groundmesh status` shows what is away; `groundmesh up` starts it again by itself"


def finish(command: Coroutine[Any, Any, Exit]) -> NoReturn:
    """Run a command and exit with its code."""
    guarded(lambda: completed(command))


def completed(command: Coroutine[Any, Any, Exit]) -> Exit:
    """Run a command; for what must do something before, in ``guarded``."""
    return asyncio.run(command)


def guarded(command: Callable[[], Exit]) -> NoReturn:
    """Call a command and exit with its code; its failures become a line or two on stderr."""
    try:
        code = command()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more on its way out, and must find somebody there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.BROKEN_PIPE
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except Problem as problem:
        code = _tell(problem)
    except MeshError as error:
        code = _tell(problem_of(error))
    sys.exit(code)


def problem_of(error: MeshError) -> Problem:
    """An error of the mesh, with what its reader can do."""
    from groundmesh.client import MeshUnreachable

    if isinstance(error, MeshUnreachable):
        hint = "start it with `groundmesh up`, or name another with --server HOST:PORT"
        return Problem(error.message, hint=hint, exit_code=Exit.UNREACHABLE)
    away = isinstance(error, Unavailable | DeadlineExceeded) or error.reason is Reason.OVERLOADED
    hint = _HINTS.get(error.reason, _AWAY_HINT if isinstance(error, Unavailable) else "")
    return Problem(error.message, hint=hint, exit_code=Exit.UNREACHABLE if away else Exit.FAILED)


def _tell(problem: Problem) -> Exit:
    lines = [f"groundmesh: {problem.message}", *([f"  {problem.hint}"] if problem.hint else [])]
    sys.stderr.write("\n".join(lines) + "\n")
    return problem.exit_code
