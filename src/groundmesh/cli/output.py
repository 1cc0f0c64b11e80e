"""Printing: for a person on a terminal, for a pipe, for a script."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

LINE_EVERY_S = 5.0
"""How often a line says how far it is where there is no terminal to draw a bar on."""
PIPE_WIDTH = 1000
"""A table that is read by a program is neither folded nor cut."""

# What a document or a model wrote must not move the cursor or recolour the terminal.
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to who prints; rich would end the program."""
        raise  # noqa: PLE0704  called while the BrokenPipeError is handled


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no guessed colours."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return _Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def progress_bar(stderr: Console) -> Progress:
    """How far it is, of so many, and in its field ``text`` more; disabled without a terminal."""
    return Progress(
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]} ·"),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


def printable(text: str) -> str:
    """Text from outside, without control characters."""
    return text.translate(_CONTROLS)


def print_json(value: object) -> None:
    """One JSON document on stdout; times as in RFC 3339."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=_as_json)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of text without lines around it and without columns that nothing is in.

    Columns whose name ends in ``#`` are numbers.
    """
    filled = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    columns = [columns[index] for index in filled]
    rows = [[row[index] for index in filled] for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        number = column.endswith("#")
        table.add_column(
            column.removesuffix("#").strip(),
            justify="right" if number else "left",
            no_wrap=number,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console().print(table)


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Names and values, one pair a line."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        sys.stdout.write(f"{name:<{width}}  {printable(value)}\n")


def print_notes(degraded: Sequence[str]) -> None:
    """On stderr: what did not run although it was asked for."""
    for note in degraded:
        sys.stderr.write(f"note: {printable(note)}\n")


def local_time(moment: datetime) -> str:
    """A moment in the reader's own time zone, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def size_text(size_bytes: int) -> str:
    """A size in bytes as people write it: ``1.4 MB``."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004  the step between units
            return f"{size_bytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def milliseconds_text(milliseconds: float) -> str:
    """A measured time: ``8 ms``, ``1.9 s``."""
    if milliseconds < 1000:  # noqa: PLR2004  a second
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s"


def counted(count: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _as_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}")
