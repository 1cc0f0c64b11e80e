"""Checks what an answer cites by itself while it is made: numbers and quotes.

The model cites a passage by its number in square brackets, ``[2]`` or ``[1, 3]``, after what rests
on it or before. A number that names no passage is taken out. What is in Markdown code, and what is
an index of something (``a[0]``), is no citation and stays as it is.

Or it quotes: ``##begin_quote##...##end_quote##``. The tags are taken out everywhere, with the space
that would be left over; what they enclose stays, and is a citation if a passage has it.
"""

import re
from collections.abc import Iterator, Sequence

from groundmesh.quotes import BEGIN_QUOTE, END_QUOTE
from groundmesh_gateway.grounding.claims import Claims
from groundmesh_gateway.grounding.code_spans import CodeSpans
from groundmesh_gateway.grounding.model import (
    Checked,
    Citation,
    CitationKind,
    SentPassage,
    Span,
    TextDelta,
    of_part,
)
from groundmesh_gateway.grounding.quoting import Quoting
from groundmesh_gateway.grounding.seam import Seam

MAX_HELD_BYTES = 32
"""The most of an answer that is held back: what may become a marker or a tag. A longer marker is
none."""

_NUMBERS = r"[0-9]{1,4}(?:, ?[0-9]{1,4})*"
_MARKER = re.compile(rf"( ?)\[({_NUMBERS})\]")
_TAG = re.compile(f"( ?)({BEGIN_QUOTE}|{END_QUOTE})")
_BEGINNING = re.compile(rf" ?(?:\[(?:{_NUMBERS}(?:, ?)?)?)?\Z")
_POSSIBLE = re.compile(r" ?[\[#]| \Z")
_INDEXABLE = re.compile(r"[\w)\]]\Z")


class CitationChecker:
    """Takes an answer in as it is made, in any pieces, and gives out what may be sent of it."""

    def __init__(self, passages: Sequence[SentPassage]) -> None:
        """``passages`` are all that may be cited."""
        self._passages = {passage.number: passage for passage in passages}
        self._code = CodeSpans()
        self._claims = Claims()
        self._quoting = Quoting(passages)
        self._seam = Seam()
        self._held = ""
        self._before = ""
        self._out: list[str] = []
        self._cited: set[tuple[int, Span]] = set()
        self._unknown = 0

    @property
    def removed(self) -> int:
        """What did not check: numbers of no passage, which were taken out, and untrue quotes."""
        return self._unknown + self._quoting.failed

    @property
    def open_quote_at(self) -> int | None:
        """The byte of the answer from which on a quote goes that is not ended."""
        return self._quoting.open_at

    def feed(self, piece: str) -> list[Checked]:
        """More of the answer from the model."""
        self._held += piece
        self._check_held(is_last=False)
        return list(self._flushed())

    def finish(self) -> list[Checked]:
        """The answer is over: what was held back, and the citations that waited for its end."""
        self._check_held(is_last=True)
        self._claims.end()
        self._quoting.abandon()
        return list(self._flushed())

    def _check_held(self, *, is_last: bool) -> None:
        held, at = self._held, 0
        while (possible := _POSSIBLE.search(held, at)) is not None:
            self._pass(held[at : possible.start()])
            at = possible.start()
            if (found := _TAG.match(held, at)) is not None:
                self._take_tag(*found.groups())
                at = found.end()
            elif (found := self._marker(held, at)) is not None:
                self._take_marker(found)
                at = found.end()
            elif not is_last and self._may_become_one(held, at):
                break
            else:
                self._pass(possible[0])
                at = possible.end()
        else:
            self._pass(held[at:])
            at = len(held)
        self._held = held[at:]

    def _marker(self, held: str, at: int) -> re.Match[str] | None:
        marker = None if self._code.is_inside else _MARKER.match(held, at)
        return marker if marker and len(marker[0]) <= MAX_HELD_BYTES else None

    def _may_become_one(self, held: str, at: int) -> bool:
        rest = held[at:].removeprefix(" ")
        if BEGIN_QUOTE.startswith(rest) or END_QUOTE.startswith(rest):
            return True
        if self._code.is_inside or len(held) - at >= MAX_HELD_BYTES:
            return False
        return _BEGINNING.match(held, at) is not None

    def _pass(self, text: str) -> None:
        """Text that is neither a marker nor a tag."""
        text = self._seam.joined(text)
        if not text:
            return
        self._code.advance(text)
        self._before = text[-1]
        self._claims.add_text(text)
        self._send(text)

    def _take_tag(self, space: str, tag: str) -> None:
        begins = tag == BEGIN_QUOTE
        self._seam.cut(had_space=bool(space), joins=begins)
        if begins:
            self._quoting.begin()
        else:
            self._quoting.end()

    def _take_marker(self, marker: re.Match[str]) -> None:
        space, numbers = marker.groups()
        named = [int(number) for number in numbers.split(",")]
        known = [number for number in named if number in self._passages]
        before = self._seam.gap("[") or self._before
        if len(known) < len(named) and not space and _INDEXABLE.search(before):
            self._pass(marker[0])
            return
        self._unknown += len(named) - len(known)
        self._before = ""
        if known:
            text = f"{space}[{', '.join(map(str, known))}]" if known != named else marker[0]
            text = self._seam.joined(text)
            self._claims.add_marker(text, known)
            self._send(text)
        else:
            self._seam.cut(had_space=False)

    def _send(self, text: str) -> None:
        self._quoting.add_text(text)
        self._out.append(text)

    def _flushed(self) -> Iterator[Checked]:
        if self._out:
            yield TextDelta("".join(self._out))
            self._out.clear()
        yield from self._quoting.settled()
        for number, span in self._claims.settled():
            if (number, span) not in self._cited:
                self._cited.add((number, span))
                yield self._by_number(self._passages[number], span)

    def _by_number(self, passage: SentPassage, span: Span) -> Citation:
        whole = (0, len(passage.text))
        return of_part(CitationKind.MARKER, passage, whole, answer=span)
