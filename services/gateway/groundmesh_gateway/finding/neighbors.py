"""Chunks of one document that touch, overlap or follow each other, as one passage."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from groundmesh_gateway.finding.model import FoundPassage

Run = list[FoundPassage]
"""Chunks that are one passage, the best first."""


def runs_of_neighbors(ranked: Sequence[FoundPassage], *, limit: int) -> list[Run]:
    """At most ``limit`` runs, that of the best chunk first.

    They are made of the top of the ranking, down to the chunk that would begin one run too many, so
    that a chunk is merged only where it would have been given by itself.
    """
    runs: list[Run] = []
    for chunk in ranked:
        near = [run for run in runs if any(_are_neighbors(chunk, other) for other in run)]
        if near:
            first, *others = near
            first += [chunk, *chain.from_iterable(others)]
            runs = [run for run in runs if all(run is not other for other in others)]
        elif len(runs) < limit:
            runs.append([chunk])
        else:
            break
    return runs


def spliced(run: Run) -> bytes | None:
    """The text of a run; None when there is a gap in it, whose white space no chunk has."""
    chunks = _in_order(run)
    text, end = b"", chunks[0].start_byte
    for chunk in chunks:
        if chunk.start_byte > end:
            return None
        text += chunk.passage.text.encode()[end - chunk.start_byte :]
        end = max(end, chunk.end_byte)
    return text


def holds(text: bytes, run: Run) -> bool:
    """Whether a text, read from where the run begins, has each of its chunks in its place."""
    begin = run_bounds(run)[0]
    return all(
        text[chunk.start_byte - begin : chunk.end_byte - begin] == chunk.passage.text.encode()
        for chunk in run
    )


def run_bounds(run: Run) -> tuple[int, int]:
    """Where a run begins and ends."""
    return min(chunk.start_byte for chunk in run), max(chunk.end_byte for chunk in run)


def as_one(run: Run, text: bytes) -> FoundPassage:
    """A run as a passage: its text and where it begins, with the scores of its best chunk."""
    first = _in_order(run)[0]
    start, end = run_bounds(run)
    return replace(
        run[0],
        passage=replace(first.passage, text=text.decode()),
        ordinal=first.ordinal,
        start_byte=start,
        end_byte=end,
        cosine=max((each.cosine for each in run if each.cosine is not None), default=None),
        chunks=tuple(index for chunk in run for index in chunk.chunks),
    )


def _are_neighbors(one: FoundPassage, other: FoundPassage) -> bool:
    """By their bytes, or by their order: between a chunk and the next is white space at most."""
    if one.document != other.document:
        return False
    touch = one.start_byte <= other.end_byte and other.start_byte <= one.end_byte
    return touch or abs(one.ordinal - other.ordinal) == 1


def _in_order(run: Run) -> Run:
    return sorted(run, key=lambda chunk: (chunk.start_byte, chunk.end_byte))
