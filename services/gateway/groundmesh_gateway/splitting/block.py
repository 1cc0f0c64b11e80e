"""A text that is short enough to be tokenized at once, and where to cut it."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence

_PAUSES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\n[ \t]*\n\s*",  # after a paragraph
        r"\n(?=[ \t]*(?:[-*+|>#]|\d+[.)]\s))",  # before a list item or a row
        r"(?<=[.!?…])[\"'”’)\]]*\s+|[。！？；][”’」』）]*\s*",  # after a sentence
        r"\n",
        r"\s+|[、，：]",  # after a word
    )
)
"""Where a text pauses, the strongest first; each match ends where the next segment begins."""
_SECTION, _SENTENCE, _WORD = 0, 3, 5
"""Levels of pauses: 0 is the beginning of a section, the others are those of ``_PAUSES``."""


class Block:
    """A text with its tokens and its pauses."""

    def __init__(
        self,
        text: str,
        *,
        token_starts: Sequence[int],
        token_ends: Sequence[int],
        sections: Sequence[int],
        room: Callable[[int], int],
        max_chars: int,
    ) -> None:
        """Offsets are characters of ``text``; those of tokens and of sections are in order.

        ``room`` says how many tokens a chunk from a character on may have.
        """
        self._text = text
        self._starts = token_starts
        self._ends = token_ends
        self._room = room
        self._max_chars = max_chars
        pauses = ([match.end() for match in pause.finditer(text)] for pause in _PAUSES)
        self._pauses = (sections, *pauses)

    def ranges(self, *, overlap: int) -> Iterator[tuple[int, int]]:
        """Begin and end of each chunk; each but the first repeats at most ``overlap`` tokens."""
        start = done = said = 0
        while done < len(self._text):
            pause = self._pause(start, done)
            if pause is None:  # without the overlap, the next word may still fit
                start = done
                pause = self._pause(start, done)
            cut, level = pause or (self._within_word(start), _WORD)
            begin, end = self._trimmed(start, cut)
            if end > max(begin, said):
                yield begin, end
                said = end
            start = cut if level == _SECTION else self._repeat_from(begin, cut, overlap)
            done = cut

    def _reach(self, start: int) -> int:
        """How far a chunk from ``start`` can go."""
        first = bisect_right(self._ends, start)
        return min(self._token_start(first + self._room(start)), start + self._max_chars)

    def _token_start(self, token: int) -> int:
        return self._starts[token] if token < len(self._starts) else len(self._text)

    def _pause(self, start: int, done: int) -> tuple[int, int] | None:
        """The best pause behind ``done`` that a chunk from ``start`` reaches, and its level.

        The strongest one in the second half of the chunk, or else the last one at all.
        """
        reach = self._reach(start)
        if reach >= len(self._text):
            return len(self._text), _SECTION
        first = bisect_right(self._ends, start)
        middle = min(self._token_start(first + self._room(start) // 2), (start + reach) // 2)
        for level, positions in enumerate(self._pauses):
            last = bisect_right(positions, reach) - 1
            lowest = done if level == _WORD else max(middle, done)
            if last >= 0 and positions[last] > lowest:
                return positions[last], level
        return None

    def _within_word(self, start: int) -> int:
        """Where to cut a word that no chunk can hold: not before a mark of a letter."""
        reach = cut = max(self._reach(start), start + 1)
        while cut > start + 1 and unicodedata.category(self._text[cut])[0] == "M":
            cut -= 1
        return cut if cut > start + 1 else reach

    def _repeat_from(self, begin: int, cut: int, overlap: int) -> int:
        """Where the chunk after ``cut`` begins: with a sentence, or else a word, of this one."""
        lowest = self._token_start(max(bisect_left(self._starts, cut) - overlap, 0))
        sections = self._pauses[_SECTION]
        section = bisect_right(sections, cut) - 1
        lowest = max(lowest, begin + 1, sections[section] if section >= 0 else 0)
        sentence = min(_first_from(lowest, each, cut) for each in self._pauses[1 : _SENTENCE + 1])
        return sentence if sentence < cut else _first_from(lowest, self._pauses[_WORD], cut)

    def _trimmed(self, start: int, end: int) -> tuple[int, int]:
        while start < end and self._text[start].isspace():
            start += 1
        while start < end and self._text[end - 1].isspace():
            end -= 1
        return start, end


def _first_from(lowest: int, positions: Sequence[int], default: int) -> int:
    """The first position that is not below ``lowest`` and below ``default``, else that."""
    index = bisect_left(positions, lowest)
    return min(positions[index], default) if index < len(positions) else default
