"""The file of ``ask --file``: a question a line, or JSON Lines."""

import sys
from collections.abc import Iterable
from pathlib import Path

from groundmesh.cli.problems import Exit, Problem
from groundmesh.eval.lines import Line, json_line, numbered_lines

STDIN = Path("-")


def read_questions(path: Path) -> list[str]:
    """Every question; InvalidArgument names the first line that holds none."""
    try:
        if path == STDIN:
            lines = list(numbered_lines(sys.stdin.buffer, "standard input"))
        else:
            with path.open("rb") as file:
                lines = list(numbered_lines(file, path))
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", exit_code=Exit.USAGE) from error
    if not lines:
        raise Problem(f"{path}: there is no question in it", exit_code=Exit.USAGE)
    is_json = path.suffix == ".jsonl" or lines[0].content.lstrip().startswith("{")
    return list(_of_json(lines) if is_json else _of_text(lines))


def _of_json(lines: Iterable[Line]) -> Iterable[str]:
    for line in lines:
        row = json_line(line)
        question = row.text("question")
        if not question.strip():
            raise row.wrong('"question" is empty')
        yield question


def _of_text(lines: Iterable[Line]) -> Iterable[str]:
    for line in lines:
        question = line.content.strip()
        if not question:
            raise line.wrong("is empty; every line must hold a question")
        yield question
