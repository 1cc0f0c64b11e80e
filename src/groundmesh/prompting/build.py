"""Packs passages into the token budget, best first, and renders the prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundmesh.prompting.builtin import DEFAULT_TEMPLATE
from groundmesh.prompting.frame import SEPARATOR
from groundmesh.prompting.history import turns_of
from groundmesh.prompting.messages import Message
from groundmesh.prompting.neutral import Neutral, Reserved
from groundmesh.prompting.packing import PackedPassage, Packing
from groundmesh.prompting.template import Passage, Template

TokenCounter = Callable[[str], int]
"""The tokens of a text by the model's own tokenizer, without special tokens."""

_SEAM_TOKENS = 8
"""Texts that are joined may have a few tokens more than they had apart."""
_HISTORY_SHARE = 0.25
"""Of what the constant part, the question and the answer leave: the rest is for passages."""


@dataclass(frozen=True)
class ChatTokens:
    """What a model's chat template puts around messages."""

    fixed: int = 0
    per_message: int = 0

    def around(self, messages: int) -> int:
        """Its tokens around so many."""
        return self.fixed + messages * self.per_message


@dataclass(frozen=True)
class TokenBudget:
    """How many tokens there are, and what else needs some of them."""

    window: int
    """What the model reads and writes at most."""
    answer: int
    """Kept free for the answer."""
    chat: ChatTokens = ChatTokens()


@dataclass(frozen=True)
class GroundedPrompt:
    """The messages for the model, and the passages that are in them."""

    messages: tuple[Message, ...]
    passages: tuple[PackedPassage, ...]
    """By their numbers."""
    stops: tuple[str, ...]
    """Texts with which an answer is over: a model that writes one goes on with the prompt."""
    turns_left_out: int
    """Turns of the conversation, the oldest, that had no room."""


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
    at_most: TokenCounter | None = None,
    template: Template = DEFAULT_TEMPLATE,
    history: Sequence[Message] = (),
    reserved: Reserved | None = None,
) -> GroundedPrompt:
    """The prompt for a question with as many of the passages, best first, as the budget holds.

    Each goes in whole, or cut at the end of a sentence, after which no more goes in. The newest
    turns of the history come first, which get a share. Raises QuestionTooLong when no passage
    fits. ``at_most`` is a bound of ``count`` that costs nothing: passages that fit by it are not
    counted.
    """
    neutral = Neutral(template.frame, reserved or Reserved())
    constant = template.constant_messages
    asked = neutral.text(question)
    room = budget.window - budget.answer - budget.chat.around(len(constant) + 1) - _SEAM_TOKENS
    room -= sum(count(message.content) for message in constant)
    asked_tokens = count(SEPARATOR + template.question_block(asked))
    said = _Remembered(count, neutral, per_message=budget.chat.per_message)
    said.fill(history, room=int(_HISTORY_SHARE * (room - asked_tokens)))
    packing = Packing(count, neutral, template, most=len(passages), at_most=at_most)
    packing.fill(passages, room=room - asked_tokens - said.tokens)
    if passages and not packing.packed:
        raise QuestionTooLong(tokens=asked_tokens, room=max(0, room))
    return GroundedPrompt(
        messages=(*constant, *said.messages, template.user_message(packing.blocks(), asked)),
        passages=packing.packed,
        stops=template.stops(len(packing.packed)),
        turns_left_out=said.left_out,
    )


class _Remembered:
    """The newest turns of a conversation that fit into some room."""

    def __init__(self, count: TokenCounter, neutral: Neutral, *, per_message: int) -> None:
        self._count = count
        self._neutral = neutral
        self._per_message = per_message
        self.messages: tuple[Message, ...] = ()
        self.tokens = 0
        self.left_out = 0

    def fill(self, history: Sequence[Message], *, room: int) -> None:
        """Take turns in, from the last one back, until one does not fit."""
        turns = turns_of(history)
        for at, turn in reversed(list(enumerate(turns))):
            messages = turn.neutral(self._neutral).messages()
            tokens = sum(self._count(each.content) + self._per_message for each in messages)
            if self.tokens + tokens > room:
                self.left_out = at + 1
                return
            self.messages = (*messages, *self.messages)
            self.tokens += tokens
