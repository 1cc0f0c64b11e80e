"""Which part of an answer each citation marker in it stands for.

A marker after something stands for its sentence up to the marker. One that begins a line, or, in an
answer whose first marker began a line, a sentence, stands for the sentence that follows it.
"""

import re
from collections.abc import Sequence

from groundmesh.sentences import sentence_ends
from groundmesh_gateway.grounding.model import Span

_MARKERS = r"(?: ?\[[0-9, ]+\])*+"
# Possessive, as nothing after it begins with what it takes: a model may write spaces by thousands.
_BULLET = r"(?:(?:[-*•#>]+|[0-9]{1,3}[.)])(?:[ \t]++|\Z))?+"
_AT_LINE_BEGIN = re.compile(rf"(?:\A|\n)[ \t]*+{_BULLET}{_MARKERS}[ \t]*\Z")
_AT_SENTENCE_BEGIN = re.compile(rf"[.!?…。！？][\"'”’»)\]*_]*{_MARKERS}\s*\Z")
_LAST_MARKER = re.compile(r"\[[0-9, ]+\]\Z")
_LONGEST_MARKER = 32
_RECENT = 256
"""Characters before a piece in which a sentence may have ended that the piece follows. Of one that
ended before them the next marker tells, or the end of the answer."""
_OPENING = re.compile(rf"\s*{_BULLET}(?:{_MARKERS}\s*)")
_WORD = re.compile(r"\w")
_LAST_WORD = re.compile(r".*\w", re.DOTALL)


class Claims:
    """Follows an answer and its markers, and tells what each marker stands for, once known."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._tail = ""  # of the answer; what lies before it is settled
        self._tail_byte = 0
        self._waiting: list[int] = []  # numbers that stand for what comes at self._waiting_at
        self._waiting_at = 0
        self._numbers_lead: bool | None = None
        self._settled: list[tuple[int, Span]] = []

    def add_text(self, text: str) -> None:
        """More of the answer that is no marker."""
        self._tail += text
        if self._waiting:
            # The last of it first, so that an answer in small pieces takes a linear time.
            recent = max(self._waiting_at, len(self._tail) - len(text) - _RECENT)
            if _has_ended(self._tail[recent:]) and _has_ended(self._tail[self._waiting_at :]):
                self._settle_waiting(len(self._tail))

    def add_marker(self, text: str, numbers: Sequence[int]) -> None:
        """A marker of the answer, with what it looks like there."""
        line_begin = _AT_LINE_BEGIN.search(self._tail)
        leads = self._leads(at_line_begin=line_begin is not None)
        said_end = line_begin.start() if line_begin else len(self._tail)
        if _WORD.search(self._tail, self._waiting_at, said_end):
            self._settle_waiting(said_end)
        if not leads:
            self._settle_before(len(self._tail), numbers)
        self._tail += text
        if leads:
            self._waiting += numbers
            self._waiting_at = len(self._tail)

    def end(self) -> None:
        """The answer is over."""
        self._settle_waiting(len(self._tail))

    def settled(self) -> list[tuple[int, Span]]:
        """What became known since it was asked for last."""
        settled, self._settled = self._settled, []
        return settled

    def _leads(self, *, at_line_begin: bool) -> bool:
        """Whether a marker that comes now stands for what follows it."""
        if self._numbers_lead is None:
            self._numbers_lead = at_line_begin
        if at_line_begin or not self._numbers_lead:
            return at_line_begin
        return _AT_SENTENCE_BEGIN.search(self._tail) is not None

    def _settle_waiting(self, end: int) -> None:
        """Give the numbers that wait the sentence that follows them, up to ``end`` at most."""
        numbers, self._waiting = self._waiting, []
        following = self._tail[self._waiting_at : end]
        if _WORD.search(following) is None:  # nothing came: they stood alone, below their sentence
            self._settle_before(self._waiting_at, numbers)
            return
        length = _first_sentence_end(following) or len(following)
        self._settle(self._waiting_at, self._waiting_at + length, numbers)

    def _settle_before(self, end: int, numbers: Sequence[int]) -> None:
        """Give numbers the sentence that goes up to ``end``."""
        said = self._tail[: _end_of_said(self._tail, end)]
        word = _LAST_WORD.match(said)
        last = word.end() if word else 0
        start = max((at for at in sentence_ends(said) if at < last), default=0)
        self._settle(start, len(said), numbers)
        self._forget(start)

    def _settle(self, start: int, end: int, numbers: Sequence[int]) -> None:
        stated = what_is_stated(self._tail[start:end])
        if not stated:
            return
        at = start + stated[0]
        start_byte = self._tail_byte + _size(self._tail[:at])
        span = (start_byte, start_byte + _size(self._tail[at : start + stated[1]]))
        self._settled += [(number, span) for number in numbers]

    def _forget(self, count: int) -> None:
        self._tail_byte += _size(self._tail[:count])
        self._tail = self._tail[count:]
        self._waiting_at -= count


def what_is_stated(text: str) -> tuple[int, int] | None:
    """The characters of a sentence without its bullet and its markers; None if it says nothing."""
    end = _end_of_said(text, len(text))
    opening = _OPENING.match(text, 0, end)
    start = opening.end() if opening else 0
    return (start, end) if _WORD.search(text, start, end) else None


def _first_sentence_end(text: str) -> int | None:
    word = _WORD.search(text)
    if word is None:
        return None
    return next((end for end in sentence_ends(text) if end > word.start()), None)


def _has_ended(text: str) -> bool:
    """Whether a sentence is over, which is sure once more follows: "3." may be "3.14" yet."""
    end = _first_sentence_end(text)
    return end is not None and bool(text[end:].strip())


def _end_of_said(text: str, end: int) -> int:
    """Where the markers and the white space begin that stand before ``end``."""
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        marker = _LAST_MARKER.search(text, max(0, end - _LONGEST_MARKER), end)
        if marker is None:
            return end
        end = marker.start()


def _size(text: str) -> int:
    return len(text.encode())
