"""What has come of a generation so far, answer by answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from groundmesh.errors import Internal
from groundmesh_generator.backends.base import Delta, FinishReason, TokenLogprobs

_REASONS = {reason.value: reason for reason in FinishReason}


@dataclass
class _Answer:
    tokens: int = 0
    held_back: int = 0
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    """Of the tokens held back."""
    reason: FinishReason | None = None


class Tally:
    """Makes deltas of what an engine says, and counts it.

    Tokens whose text is still to come, while a character or a stop text may be incomplete, go with
    the delta that brings it.
    """

    def __init__(self, answers: int) -> None:
        self._answers = [_Answer() for _ in range(answers)]

    def add(
        self, index: int, text: str, *, tokens: int, logprobs: Sequence[TokenLogprobs] = ()
    ) -> list[Delta]:
        """Count what came of one answer; at most one delta."""
        answer = self._answers[index]
        answer.tokens += tokens
        answer.held_back += tokens
        answer.logprobs += logprobs
        if not text:
            return []
        delta = Delta(text, answer.held_back, index, tuple(answer.logprobs))
        answer.held_back, answer.logprobs = 0, []
        return [delta]

    def end(self, index: int, reason: str) -> None:
        """Note why an answer ended, in the engine's own word."""
        if reason not in _REASONS:
            raise Internal(f"the engine ended the generation: {reason}")
        self._answers[index].reason = _REASONS[reason]

    @property
    def tokens(self) -> int:
        """Of all answers together."""
        return sum(answer.tokens for answer in self._answers)

    @property
    def reasons(self) -> tuple[FinishReason, ...]:
        """Why each answer ended."""
        reasons = tuple(answer.reason for answer in self._answers if answer.reason)
        if len(reasons) < len(self._answers):
            raise Internal("the engine left an answer without an end")
        return reasons
