"""The sentences of an answer, while it is made and when it is done."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from groundmesh.sentences import sentence_ends
from groundmesh_gateway.grounding.claims import what_is_stated

# What may not follow an end that is sure: it may still belong to the sentence before.
_FOLLOWED = re.compile(r"\s*[^\s.!?…。！？\"'”’»)\]*_\[]")

_GROWTH = 16


@dataclass(frozen=True)
class Sentence:
    """What a sentence of the answer states; offsets are UTF-8 bytes into the answer."""

    text: str
    start_byte: int
    end_byte: int


class AnswerSentences:
    """Gives out each sentence once it is sure to be over, in whatever pieces the answer comes."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._tail = ""
        self._tail_byte = 0
        self._scan_at = 0

    @property
    def unfinished(self) -> tuple[str, int]:
        """What was said after the last sentence that is over, and the byte where it begins."""
        return self._tail, self._tail_byte

    def add_text(self, text: str) -> list[Sentence]:
        """More of the answer; the sentences that are over now."""
        self._tail += text
        if len(self._tail) < self._scan_at:
            return []
        ends = list(sentence_ends(self._tail))
        while ends and _FOLLOWED.match(self._tail, ends[-1]) is None:
            ends.pop()
        return self._taken(ends)

    def finish(self) -> list[Sentence]:
        """The answer is over."""
        return self._taken([*sentence_ends(self._tail), len(self._tail)])

    def _taken(self, ends: Sequence[int]) -> list[Sentence]:
        """The sentences up to these ends, and no longer in the tail."""
        sentences, start, at = list[Sentence](), 0, self._tail_byte
        for end in ends:
            part = self._tail[start:end]
            if (stated := what_is_stated(part)) is not None:
                text = part[slice(*stated)]
                first = at + len(part[: stated[0]].encode())
                sentences.append(Sentence(text, first, first + len(text.encode())))
            start, at = end, at + len(part.encode())
        self._tail, self._tail_byte = self._tail[start:], at
        # A long tail is read again when it has grown by a share, so that all takes a linear time.
        self._scan_at = len(self._tail) + len(self._tail) // _GROWTH
        return sentences
