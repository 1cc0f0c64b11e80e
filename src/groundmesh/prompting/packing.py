"""Passages that go into a prompt: whole, or cut at the end of a sentence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class _Piece:
    """What the prompt may have of a passage."""

    index: int
    source: str
    text: str
    shown: str
    """The text, made harmless."""
    truncated: bool = False


class Packing:
    """The passages of a prompt, as they are put in."""

    def __init__(
        self,
        count: Callable[[str], int],
        neutral: Neutral,
        template: Template,
        *,
        most: int,
        at_most: Callable[[str], int] | None = None,
    ) -> None:
        """``most`` passages may be put in; numbers take as many tokens as that one.

        ``at_most`` is a bound of ``count``.
        """
        self._at_most = at_most
        self._count = count
        self._neutral = neutral
        self._template = template
        self._most = most
        self._room = 0
        self._taken: list[_Piece] = []

    def fill(self, passages: Sequence[Passage], *, room: int) -> None:
        """Put in what fits, best first."""
        self._room = room
        if self._at_most is not None and self._all_fit(passages, self._at_most):
            return
        for index, passage in enumerate(passages):
            if self._room < _LEAST_PIECE:
                break
            self._add(self._whole(index, passage))

    @property
    def packed(self) -> tuple[PackedPassage, ...]:
        """What was put in, by its number."""
        return tuple(
            PackedPassage(number, piece.index, piece.text, truncated=piece.truncated)
            for number, piece in enumerate(self._in_order(), start=1)
        )

    def blocks(self) -> list[str]:
        """The passages in their frames."""
        return [self._block(number, piece) for number, piece in enumerate(self._in_order(), 1)]

    def _in_order(self) -> list[_Piece]:
        is_best_last = self._template.order is PassageOrder.BEST_LAST
        return self._taken[::-1] if is_best_last else self._taken

    def _add(self, whole: _Piece) -> None:
        """Put a passage in, whole or its beginning, if anything of it fits."""
        tokens = self._tokens(whole)
        if tokens <= self._room:
            self._taken.append(whole)
            self._room -= tokens
        elif beginning := self._beginning(whole):
            self._taken.append(beginning)
            self._room = 0  # nothing goes in behind one that was cut

    def _beginning(self, whole: _Piece) -> _Piece | None:
        """The most whole sentences that fit; None when not even the first one does."""
        ends = [end for end in sentence_ends(whole.text) if end < len(whole.text)]
        low, high = 0, len(ends)  # of the first `low` ends all fit, from `high` on none does
        best = None
        while low < high:
            middle = (low + high) // 2
            piece = self._cut(whole, ends[middle])
            if self._tokens(piece) <= self._room:
                low, best = middle + 1, piece
            else:
                high = middle
        return best

    def _whole(self, index: int, passage: Passage) -> _Piece:
        named = Passage(
            self._neutral.line(passage.title, limit=_MAX_TITLE),
            self._neutral.line(passage.place, limit=_MAX_PLACE),
            "",
        )
        shown = self._neutral.text(passage.text)
        return _Piece(index, source(named), passage.text, shown)

    def _cut(self, whole: _Piece, end: int) -> _Piece:
        text = whole.text[:end]
        return replace(whole, text=text, shown=self._neutral.text(text), truncated=True)

    def _all_fit(self, passages: Sequence[Passage], at_most: Callable[[str], int]) -> bool:
        """Put all in uncounted, if by the bound none would be cut or left out."""
        room = self._room - _LEAST_PIECE
        if sum(len(each.text) for each in passages) > room:
            return False
        wholes = [self._whole(index, passage) for index, passage in enumerate(passages)]
        if sum(at_most(self._block(self._most, each) + SEPARATOR) for each in wholes) > room:
            return False
        self._taken = wholes
        return True

    def _tokens(self, piece: _Piece) -> int:
        return self._count(self._block(self._most, piece) + SEPARATOR)

    def _block(self, number: int, piece: _Piece) -> str:
        return self._template.passage_block(number, source=piece.source, text=piece.shown)
