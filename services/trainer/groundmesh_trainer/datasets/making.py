"""A file becomes a dataset: rows checked, counted and split, in two files of canonical lines."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundmesh.errors import FieldViolation, InvalidArgument, ResourceExhausted
from groundmesh_trainer.datasets.reading import Format, Line, detect, read
from groundmesh_trainer.datasets.rows import Row, to_json
from groundmesh_trainer.datasets.splitting import split

TRAIN, HELD_OUT = "train.jsonl", "held_out.jsonl"
MAX_ROWS = 500_000
MAX_BAD_LINES = 100
"""So many are named; all are counted."""

RowTokens = Callable[[Row], int]
"""The tokens of a row as the model will read it, its chat template included."""


@dataclass(frozen=True)
class MakeOptions:
    """How the rows are split, and how long one may be."""

    held_out_share: float = 0.1
    seed: int = 0
    window_tokens: int = 2048
    """Of the model's window; longer rows are counted, they would be cut."""


@dataclass(frozen=True)
class BadLine:
    """A line that is no row; its number is 0 where the file has none, and the place is said."""

    number: int
    problem: str


@dataclass(frozen=True)
class Report:
    """What was found in a file."""

    rows: int
    bad: int
    bad_lines: tuple[BadLine, ...]
    duplicates: int
    tokens: int
    longest_tokens: int
    over_window: int


@dataclass(frozen=True)
class Made:
    """A dataset whose two files are written."""

    sha256: str
    """Of both files: the same for the same rows on the same sides."""
    kind: str
    train_rows: int
    held_out_rows: int
    report: Report


def make(
    source: Path, into: Path, *, form: Format | None, options: MakeOptions, tokens: RowTokens
) -> Made:
    """Read a file, and write what it holds into a folder.

    Raises:
        InvalidArgument: the file can't be read, or no line of it is a row; lines are named.
        ResourceExhausted: it has more rows than are kept in memory to compare them.
    """
    reading = _Reading()
    for line in read(source, form or detect(source)):
        reading.add(line)
    rows = reading.rows
    if not rows:
        raise _no_rows(reading.bad_lines)
    divided = split(rows, held_out_share=options.held_out_share, seed=options.seed)
    sides = list(zip(rows, divided.held_out, strict=True))
    train = _write(into / TRAIN, (row for row, is_out in sides if not is_out))
    held_out = _write(into / HELD_OUT, (row for row, is_out in sides if is_out))
    counts = [tokens(row) for row in rows]
    return Made(
        sha256=hashlib.sha256(f"{train}\n{held_out}\n".encode()).hexdigest(),
        kind=rows[0].kind,
        train_rows=len(rows) - sum(divided.held_out),
        held_out_rows=sum(divided.held_out),
        report=Report(
            rows=len(rows),
            bad=reading.bad,
            bad_lines=tuple(reading.bad_lines),
            duplicates=divided.duplicates,
            tokens=sum(counts),
            longest_tokens=max(counts),
            over_window=sum(count > options.window_tokens for count in counts),
        ),
    )


class _Reading:
    """The rows of a file, all of one kind, and what was bad."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.bad = 0
        self.bad_lines: list[BadLine] = []

    def add(self, line: Line) -> None:
        problem = line.problem
        if line.row is not None and self.rows and line.row.kind != self.rows[0].kind:
            problem = f"is a {line.row.kind} row, where the first is a {self.rows[0].kind} row"
        if problem or line.row is None:
            self.bad += 1
            if len(self.bad_lines) < MAX_BAD_LINES:
                self.bad_lines.append(BadLine(line.number, problem))
            return
        if len(self.rows) == MAX_ROWS:
            raise ResourceExhausted(f"the file has more than {MAX_ROWS} rows; send it in parts")
        self.rows.append(line.row)


def _no_rows(bad: Sequence[BadLine]) -> InvalidArgument:
    fields = [
        FieldViolation(f"line {each.number}" if each.number else "file", each.problem)
        for each in bad
    ]
    said = "; ".join(f"{each.field}: {each.description}" for each in fields[:3])
    return InvalidArgument(f"no line is a row: {said or 'all are blank'}", fields=fields)


def _write(path: Path, rows: Iterable[Row]) -> str:
    """Write rows, and give the sha256 of the file."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for row in rows:
            line = to_json(row).encode() + b"\n"
            digest.update(line)
            file.write(line)
    return digest.hexdigest()
