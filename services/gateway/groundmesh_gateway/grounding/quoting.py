"""Quotes of an answer, looked up in the passages that were sent."""

import re
from collections.abc import Sequence

from groundmesh.quotes import QuotableText, Span, count_words
from groundmesh_gateway.grounding.model import Citation, CitationKind, SentPassage, of_part

LEAST_WORDS = 3
"""A shorter quote is a citation only if there is one place that it can be from."""

_SPACE = " \t\r\n\v\f\u00a0"
_ENDINGS = _SPACE + ".,;:!?…\"'“”„‘’«»"
_MARKER = r"\[[0-9, ]{1,32}\]"
_FIRST_MARKER = re.compile(_MARKER)
_LAST_MARKER = re.compile(rf"{_MARKER}\Z")
_LONGEST_MARKER = 34


class Quoting:
    """Follows an answer and its tags, and tells which quotes are true.

    A quote is what stands between a tag that begins one and the tag that ends it. One that is begun
    again or never ended, has no words, or stands in no passage, has failed; a tag that ends nothing
    is nothing.
    """

    def __init__(self, passages: Sequence[SentPassage]) -> None:
        """``passages`` best first: a quote that stands in several is from the first."""
        self._passages = passages
        self._texts: dict[int, QuotableText] = {}
        self._size = 0
        self._begin: int | None = None
        self._quoted: list[str] = []
        self._settled: list[Citation] = []
        self.failed = 0
        """Quotes that are no citations."""

    @property
    def open_at(self) -> int | None:
        """The byte of the answer at which a quote was begun that is not ended."""
        return self._begin

    def add_text(self, text: str) -> None:
        """More of the answer, without its tags."""
        self._size += len(text.encode())
        if self._begin is not None:
            self._quoted.append(text)

    def begin(self) -> None:
        """A quote begins."""
        self.abandon()
        self._begin = self._size

    def end(self) -> None:
        """A quote ends."""
        if self._begin is None:
            return
        quoted, begin = "".join(self._quoted), self._begin
        self._begin = None
        self._quoted.clear()
        for outside in (_SPACE, _ENDINGS):
            start, end = _inner(quoted, outside)
            found = self._find(quoted[start:end])
            if found:
                first = begin + len(quoted[:start].encode())
                answer = (first, first + len(quoted[start:end].encode()))
                self._settled.append(of_part(CitationKind.VERBATIM, *found, answer=answer))
                return
        self.failed += 1

    def abandon(self) -> None:
        """The quote that is open, if one is, will not be ended."""
        self.failed += self._begin is not None
        self._begin = None
        self._quoted.clear()

    def settled(self) -> list[Citation]:
        """What became known since it was asked for last."""
        settled, self._settled = self._settled, []
        return settled

    def _find(self, quote: str) -> tuple[SentPassage, Span] | None:
        words = count_words(quote)
        if not words:
            return None
        found: dict[tuple[str, int], tuple[SentPassage, Span]] = {}
        for passage in self._passages:
            for start, end in self._text(passage).places(quote):
                if words >= LEAST_WORDS:
                    return passage, (start, end)
                # Passages may overlap: the same place of a document is one place.
                place = passage.start_byte + len(passage.text[:start].encode())
                found.setdefault((passage.document, place), (passage, (start, end)))
                if len(found) > 1:
                    return None
        return next(iter(found.values()), None)

    def _text(self, passage: SentPassage) -> QuotableText:
        """Made when it is first needed: most answers have no quotes."""
        if passage.number not in self._texts:
            self._texts[passage.number] = QuotableText(passage.text)
        return self._texts[passage.number]


def _inner(text: str, outside: str) -> Span:
    """What is left of ``text`` without such characters and markers at its ends."""
    end = len(text.rstrip(outside))
    while marker := _LAST_MARKER.search(text, max(0, end - _LONGEST_MARKER), end):
        end = len(text[: marker.start()].rstrip(outside))
    start = end - len(text[:end].lstrip(outside))
    while marker := _FIRST_MARKER.match(text, start, end):
        start = end - len(text[marker.end() : end].lstrip(outside))
    return start, end
