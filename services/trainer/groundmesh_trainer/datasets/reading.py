"""Reading a dataset's file: a row, or what is wrong, for each of its lines.

What is wrong with one line never hides another. A file is read as a stream, but for SQuAD's JSON,
which is one value.
"""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from groundmesh.errors import InvalidArgument
from groundmesh_trainer.datasets.checking import BadRow, row_of
from groundmesh_trainer.datasets.rows import Row
from groundmesh_trainer.datasets.squad import rows_of_squad

MAX_LINE_BYTES = 8 << 20
MAX_SQUAD_BYTES = 256 << 20
"""It is held in memory, several times as large."""

_BOM = b"\xef\xbb\xbf"
_IS_IMPOSSIBLE = "is_impossible"
_NOT_UTF8 = "is not UTF-8"
_HEAD_BYTES = 4096
_SQUAD = re.compile(rb'\{\s*"(?:version|data)"\s*:')


class Format(StrEnum):
    """How rows are written."""

    JSONL = "jsonl"
    """An object a line: messages, prompt and completion, or question, context and answer."""
    CSV = "csv"
    """Such fields, but for messages, in columns, with a header."""
    SQUAD = "squad"
    """SQuAD's JSON, of version 1.1 or 2.0."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, or a row that begins there, and what came of it."""

    number: int
    """From 1; 0 in SQuAD's JSON, where ``problem`` says the place instead."""
    row: Row | None
    problem: str = ""


def detect(path: Path) -> Format:
    """What a file is, by its beginning; InvalidArgument when it is none of them."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).removeprefix(_BOM).lstrip()
    if not head:
        raise InvalidArgument("the file is empty")
    if _SQUAD.match(head):
        return Format.SQUAD
    if head.startswith(b"{"):
        return Format.JSONL
    return Format.CSV


def read(path: Path, form: Format) -> Iterator[Line]:
    """Every line that is not blank.

    Raises:
        InvalidArgument: the file as a whole can't be read; the message has the line.
    """
    if form is Format.JSONL:
        return _json_lines(path)
    return _csv(path) if form is Format.CSV else _squad(path)


def _json_lines(path: Path) -> Iterator[Line]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                _skip_rest(file, line)
                yield Line(number, None, f"is longer than {MAX_LINE_BYTES} bytes")
                continue
            line = line.removeprefix(_BOM) if number == 1 else line
            if line.strip():
                yield _checked(number, line)


def _skip_rest(file: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = file.readline(MAX_LINE_BYTES)


def _checked(number: int, line: bytes) -> Line:
    try:
        return Line(number, row_of(json.loads(line.decode())))
    except UnicodeDecodeError:
        return Line(number, None, _NOT_UTF8)
    except BadRow as bad:
        return Line(number, None, str(bad))
    except json.JSONDecodeError as error:
        return Line(number, None, f"is no JSON: {error.msg} at character {error.pos + 1}")
    except ValueError:  # a number of thousands of digits
        return Line(number, None, "is no JSON that can be read: a number is too long")
    except RecursionError:
        return Line(number, None, "is nested too deeply")


def _csv(path: Path) -> Iterator[Line]:
    csv.field_size_limit(MAX_LINE_BYTES)
    # Bytes that are no UTF-8 come as lone surrogates, so that they cost their row alone.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        table = csv.reader(_without_null(file), strict=True)
        try:
            header = next(table, [])
        except csv.Error as error:
            raise InvalidArgument(f"line 1: the header is no CSV: {error}") from error
        names = [name.strip() for name in header]
        _check_header(names)
        before = table.line_num
        while True:
            number, line = before + 1, _next_record(table, names)
            before = table.line_num
            if line is None:
                return
            if line.row is not None or line.problem:
                yield Line(number, line.row, line.problem)


def _without_null(file: IO[str]) -> Iterator[str]:
    for line in file:
        yield line.replace("\0", "\ufffd")


def _check_header(names: list[str]) -> None:
    try:
        row_of({name: "x" for name in names if name != _IS_IMPOSSIBLE})
    except BadRow as bad:
        raise InvalidArgument(f"line 1: the header {names[:10]} {bad}") from bad
    if len(set(names)) < len(names):
        raise InvalidArgument("line 1: the header names a column twice")


def _next_record(table: Any, names: list[str]) -> Line | None:
    """The next record without its number; neither row nor problem for a blank line."""
    try:
        record = next(table, None)
    except csv.Error as error:
        return Line(0, None, f"is no CSV: {error}")
    if record is None:
        return None
    if not any(field.strip() for field in record):
        return Line(0, None)
    if len(record) != len(names):
        return Line(0, None, f"has {len(record)} columns; the header has {len(names)}")
    try:
        return Line(0, row_of(_said(dict(zip(names, record, strict=True)))))
    except BadRow as bad:
        return Line(0, None, str(bad))


def _said(fields: dict[str, str]) -> dict[str, object]:
    """A record as an object: what a table writes as text is what it means."""
    said: dict[str, object] = dict(fields)
    match fields.get(_IS_IMPOSSIBLE, "").strip().lower():
        case "":
            said.pop(_IS_IMPOSSIBLE, None)
        case "true" | "1":
            said[_IS_IMPOSSIBLE] = True
        case "false" | "0":
            said[_IS_IMPOSSIBLE] = False
    return said


def _squad(path: Path) -> Iterator[Line]:
    if path.stat().st_size > MAX_SQUAD_BYTES:
        raise InvalidArgument(
            f"SQuAD's JSON is read whole, up to {MAX_SQUAD_BYTES} bytes; send JSON Lines instead"
        )
    try:
        value = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InvalidArgument(f"line {line}: {_NOT_UTF8}") from error
    except json.JSONDecodeError as error:
        raise InvalidArgument(f"line {error.lineno}: is no JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("is no JSON that can be read: nested or a number too long") from error
    for place, row, problem in rows_of_squad(value):
        yield Line(0, row, f"{place}: {problem}" if problem else "")
