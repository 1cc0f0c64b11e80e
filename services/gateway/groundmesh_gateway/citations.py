"""Checks the citations of an answer while it is made.

The model cites a passage by its number in square brackets, ``[2]`` or ``[1, 3]``, after what rests
on it or before. A number that names no passage is taken out. What is in Markdown code, and what is
an index of something (``a[0]``), is no citation and stays as it is.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundmesh_gateway.claims import Claims, Span
from groundmesh_gateway.code_spans import CodeSpans

MAX_HELD_BYTES = 32
"""The most of an answer that is held back: what may become a marker. A longer one is none."""

_NUMBERS = r"[0-9]{1,4}(?:, ?[0-9]{1,4})*"
_MARKER = re.compile(rf"( ?)\[({_NUMBERS})\]")
_BEGINNING = re.compile(rf" ?(?:\[(?:{_NUMBERS}(?:, ?)?)?)?\Z")
_POSSIBLE = re.compile(r" ?\[| \Z")
_INDEXABLE = re.compile(r"[\w)\]]\Z")


@dataclass(frozen=True)
class SentPassage:
    """A passage as the model got it; offsets are UTF-8 bytes into its document's text."""

    number: int
    text: str
    start_byte: int
    end_byte: int


@dataclass(frozen=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True)
class Citation:
    """A part of the answer, in UTF-8 bytes, that the model rests on a passage."""

    passage: SentPassage
    answer_start_byte: int
    answer_end_byte: int


Checked = TextDelta | Citation


class CitationChecker:
    """Takes an answer in as it is made, in any pieces, and gives out what may be sent of it."""

    def __init__(self, passages: Sequence[SentPassage]) -> None:
        """``passages`` are all that may be cited."""
        self._passages = {passage.number: passage for passage in passages}
        self._code = CodeSpans()
        self._claims = Claims()
        self._held = ""
        self._before = ""
        self._out: list[str] = []
        self._cited: set[tuple[int, Span]] = set()
        self.removed = 0
        """Numbers that named no passage, and were taken out."""

    def feed(self, piece: str) -> list[Checked]:
        """More of the answer from the model."""
        self._held += piece
        self._check_held(is_last=False)
        return list(self._flushed())

    def finish(self) -> list[Checked]:
        """The answer is over: what was held back, and the citations that waited for its end."""
        self._check_held(is_last=True)
        self._claims.end()
        return list(self._flushed())

    def _check_held(self, *, is_last: bool) -> None:
        held, at = self._held, 0
        while (possible := _POSSIBLE.search(held, at)) is not None:
            self._pass(held[at : possible.start()])
            at = possible.start()
            marker = None if self._code.is_inside else _MARKER.match(held, at)
            if marker is not None and len(marker[0]) <= MAX_HELD_BYTES:
                self._take(marker)
                at = marker.end()
            elif not is_last and self._may_become_marker(held, at):
                break
            else:
                self._pass(possible[0])
                at = possible.end()
        else:
            self._pass(held[at:])
            at = len(held)
        self._held = held[at:]

    def _may_become_marker(self, held: str, at: int) -> bool:
        if self._code.is_inside or len(held) - at >= MAX_HELD_BYTES:
            return False
        return _BEGINNING.match(held, at) is not None

    def _pass(self, text: str) -> None:
        """Text that is no marker."""
        if not text:
            return
        self._code.advance(text)
        self._before = text[-1]
        self._claims.add_text(text)
        self._out.append(text)

    def _take(self, marker: re.Match[str]) -> None:
        space, numbers = marker.groups()
        named = [int(number) for number in numbers.split(",")]
        known = [number for number in named if number in self._passages]
        if len(known) < len(named) and not space and _INDEXABLE.search(self._before):
            self._pass(marker[0])
            return
        self.removed += len(named) - len(known)
        self._before = ""
        if known:
            text = f"{space}[{', '.join(map(str, known))}]" if known != named else marker[0]
            self._claims.add_marker(text, known)
            self._out.append(text)

    def _flushed(self) -> Iterator[Checked]:
        if self._out:
            yield TextDelta("".join(self._out))
            self._out.clear()
        for number, span in self._claims.settled():
            if (number, span) not in self._cited:
                self._cited.add((number, span))
                yield Citation(self._passages[number], *span)
