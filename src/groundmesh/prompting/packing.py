"""Passages that go into a prompt: whole, or cut at the end of a sentence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundmesh.prompting.frame import SEPARATOR
from groundmesh.prompting.neutral import Neutral
from groundmesh.prompting.template import Passage, PassageOrder, Template, source
from groundmesh.sentences import sentence_ends

_MAX_TITLE = 120
_MAX_PLACE = 200
_LEAST_PIECE = 16
"""Tokens for less of which no passage is begun."""


@dataclass(frozen=True)
class PackedPassage:
    """A passage that is in the prompt."""

    number: int
    """From 1: what stands before it in the prompt, and in the citations of the answer."""
    index: int
    """Which of the passages that were given."""
    text: str
    """What the prompt has of it: all, or its beginning up to the end of a sentence."""
    truncated: bool


class Packing:
    """The passages of a prompt, as they are put in."""

    def __init__(
        self, count: Callable[[str], int], neutral: Neutral, template: Template, *, most: int
    ) -> None:
        """``most`` passages may be put in; numbers take as many tokens as that one."""
        self._count = count
        self._neutral = neutral
        self._template = template
        self._most = most
        self._room = 0
        self._taken: list[tuple[int, Passage, str]] = []

    def fill(self, passages: Sequence[Passage], *, room: int) -> None:
        """Put in what fits, best first."""
        self._room = room
        for index, passage in enumerate(passages):
            if self._room < _LEAST_PIECE:
                break
            self._add(index, passage)

    @property
    def packed(self) -> tuple[PackedPassage, ...]:
        """What was put in, by its number."""
        return tuple(
            PackedPassage(number, index, text, truncated=len(text) < len(passage.text))
            for number, (index, passage, text) in enumerate(self._in_order(), start=1)
        )

    def blocks(self) -> list[str]:
        """The passages in their frames."""
        return [
            self._block(number, passage, text)
            for number, (_, passage, text) in enumerate(self._in_order(), start=1)
        ]

    def _in_order(self) -> list[tuple[int, Passage, str]]:
        is_best_last = self._template.order is PassageOrder.BEST_LAST
        return self._taken[::-1] if is_best_last else self._taken

    def _add(self, index: int, passage: Passage) -> None:
        """Put a passage in, whole or its beginning, if anything of it fits."""
        tokens = self._tokens(passage, passage.text)
        if tokens <= self._room:
            self._taken.append((index, passage, passage.text))
            self._room -= tokens
        elif text := self._beginning(passage):
            self._taken.append((index, passage, text))
            self._room = 0  # nothing goes in behind one that was cut

    def _beginning(self, passage: Passage) -> str:
        """The most whole sentences that fit; empty when not even the first one does."""
        ends = [end for end in sentence_ends(passage.text) if end < len(passage.text)]
        low, high = 0, len(ends)  # of the first `low` ends all fit, from `high` on none does
        while low < high:
            middle = (low + high) // 2
            if self._tokens(passage, passage.text[: ends[middle]]) <= self._room:
                low = middle + 1
            else:
                high = middle
        return passage.text[: ends[low - 1]] if low else ""

    def _tokens(self, passage: Passage, text: str) -> int:
        return self._count(self._block(self._most, passage, text) + SEPARATOR)

    def _block(self, number: int, passage: Passage, text: str) -> str:
        named = Passage(
            self._neutral.line(passage.title, limit=_MAX_TITLE),
            self._neutral.line(passage.place, limit=_MAX_PLACE),
            "",
        )
        return self._template.passage_block(
            number, source=source(named), text=self._neutral.text(text)
        )
