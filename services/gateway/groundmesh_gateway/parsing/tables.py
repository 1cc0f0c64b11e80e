"""Rows of cells as a Markdown table, which stays readable when it is cut between rows."""

from collections.abc import Iterable, Iterator, Sequence


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """The rows, the first as the head; none without any text."""
    return "\n".join(_lines(row for row in rows if any(cell.strip() for cell in row)))


def _lines(rows: Iterator[Sequence[str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"
        if not number:
            yield f"|{' --- |' * len(row)}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
