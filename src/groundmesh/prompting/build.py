"""Packs passages into the token budget, best first, and renders the prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundmesh.prompting.format import (
    CONSTANT_MESSAGES,
    SEPARATOR,
    Message,
    frame_goes_on,
    passage_block,
    question_block,
    user_message,
)
from groundmesh.prompting.neutral import Reserved, neutral_line, neutral_text
from groundmesh.sentences import sentence_ends

TokenCounter = Callable[[str], int]
"""The tokens of a text by the model's own tokenizer, without special tokens."""

_MAX_TITLE = 120
_MAX_PLACE = 200
_SEAM_TOKENS = 8
"""Texts that are joined may have a few tokens more than they had apart."""
_LEAST_PIECE = 16
"""Tokens for less of which no passage is begun."""


@dataclass(frozen=True)
class Passage:
    """A piece of a document, as it was found; ``title`` and ``place`` may be empty."""

    title: str
    place: str
    text: str


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
class TokenBudget:
    """How many tokens there are, and what else needs some of them."""

    window: int
    """What the model reads and writes at most."""
    answer: int
    """Kept free for the answer."""
    template: int = 0
    """What the chat template puts around the messages."""
    history: int = 0
    """What earlier turns of the conversation take."""


@dataclass(frozen=True)
class GroundedPrompt:
    """The messages for the model, and the passages that are in them."""

    messages: tuple[Message, ...]
    passages: tuple[PackedPassage, ...]
    stops: tuple[str, ...]
    """Texts with which an answer is over: a model that writes one goes on with the prompt."""


class QuestionTooLong(ValueError):
    """The question leaves no room for any passage; ``room`` is what it would have had."""

    def __init__(self, *, tokens: int, room: int) -> None:
        super().__init__(f"the question has {tokens} tokens, there is room for {room}")
        self.tokens = tokens
        self.room = room


def build_prompt(
    question: str,
    passages: Sequence[Passage],
    *,
    budget: TokenBudget,
    count: TokenCounter,
    reserved: Reserved | None = None,
) -> GroundedPrompt:
    """The prompt for a question with as many of the passages, best first, as the budget holds.

    Each goes in whole, or cut at the end of a sentence, after which no more goes in. Raises
    QuestionTooLong when none does.
    """
    reserved = reserved or Reserved()
    asked = neutral_text(question, reserved)
    room = budget.window - budget.answer - budget.template - budget.history - _SEAM_TOKENS
    room -= sum(count(message.content) for message in CONSTANT_MESSAGES)
    asked_tokens = count(SEPARATOR + question_block(asked))
    packing = _Packing(count, reserved, room=room - asked_tokens)
    for index, passage in enumerate(passages):
        packing.add(index, passage)
        if packing.is_full:
            break
    if passages and not packing.packed:
        raise QuestionTooLong(tokens=asked_tokens, room=max(0, room))
    return GroundedPrompt(
        messages=(*CONSTANT_MESSAGES, user_message(packing.blocks, asked)),
        passages=tuple(packing.packed),
        stops=frame_goes_on(len(packing.packed)),
    )


class _Packing:
    """The passages of a prompt, as they are put in."""

    def __init__(self, count: TokenCounter, reserved: Reserved, *, room: int) -> None:
        self._count = count
        self._reserved = reserved
        self._room = room
        self.blocks: list[str] = []
        self.packed: list[PackedPassage] = []
        self.is_full = room < _LEAST_PIECE

    def add(self, index: int, passage: Passage) -> None:
        """Put a passage in, whole or its beginning, if anything of it fits."""
        text = passage.text
        if not self._fits(passage, text):
            text = self._beginning(passage)
            if not text:
                return
            self.is_full = True
        block = self._block(passage, text)
        self._room -= self._count(block + SEPARATOR)
        self.blocks.append(block)
        truncated = len(text) < len(passage.text)
        self.packed.append(PackedPassage(len(self.packed) + 1, index, text, truncated=truncated))
        self.is_full = self.is_full or self._room < _LEAST_PIECE

    def _beginning(self, passage: Passage) -> str:
        """The most whole sentences that fit; empty when not even the first one does."""
        ends = [end for end in sentence_ends(passage.text) if end < len(passage.text)]
        low, high = 0, len(ends)  # of the first `low` ends all fit, from `high` on none does
        while low < high:
            middle = (low + high) // 2
            if self._fits(passage, passage.text[: ends[middle]]):
                low = middle + 1
            else:
                high = middle
        return passage.text[: ends[low - 1]] if low else ""

    def _fits(self, passage: Passage, text: str) -> bool:
        return self._count(self._block(passage, text) + SEPARATOR) <= self._room

    def _block(self, passage: Passage, text: str) -> str:
        return passage_block(
            len(self.packed) + 1,
            title=neutral_line(passage.title, self._reserved, limit=_MAX_TITLE),
            place=neutral_line(passage.place, self._reserved, limit=_MAX_PLACE),
            text=neutral_text(text, self._reserved),
        )
