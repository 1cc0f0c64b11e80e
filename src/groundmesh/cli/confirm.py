"""Asking before something is lost."""

import sys

from groundmesh.cli.problems import Exit, Problem


def confirm(question: str) -> None:
    """Go on only when a person at a terminal says yes.

    Raises:
        Problem: they said no, or there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise Problem(
            "this deletes something, and there is no terminal to ask on",
            hint="say --yes to delete without being asked",
            exit_code=Exit.USAGE,
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Problem("nothing was deleted")
