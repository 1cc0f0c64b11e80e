"""A question in a conversation: what passages are found for, and what the model is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from groundmesh import deadline
from groundmesh.errors import MeshError
from groundmesh.prompting import STANDALONE_STOPS, Message, Role, read_standalone, standalone_prompt
from groundmesh_gateway.ask_ports import ModelTokens
from groundmesh_gateway.stages import Stage, Stopwatch

_MOST_TOKENS = 96
_TIME_SHARE = 0.25
"""Of the time that the call has left; what is searched without is near enough."""
_MOST_SAID = 500
"""Characters of what was said before that are searched with the question."""


class Rewriting(Protocol):
    """What making a question stand-alone needs of the mesh."""

    async def model_tokens(self) -> ModelTokens:
        """The model that is to answer."""
        ...

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> str:
        """What the model says to this, without chance."""
        ...


@dataclass(frozen=True)
class AskedQuestion:
    """A question as it goes on."""

    question: str
    """What the model is asked."""
    searched: str
    """What passages are found for."""
    degraded: tuple[str, ...] = ()


async def asked_question(
    question: str, history: Sequence[Message], mesh: Rewriting, watch: Stopwatch
) -> AskedQuestion:
    """A question made stand-alone; without a conversation it is so, and nobody is asked."""
    if not history:
        return AskedQuestion(question, question)
    watch.enter(Stage.REWRITE)
    left = deadline.remaining()
    try:
        with deadline.within(None if left is None else left * _TIME_SHARE):
            standalone = await _standalone(question, history, mesh)
        why = "the model gave no usable rewriting"
    except MeshError as error:
        standalone, why = None, error.message
    if standalone is not None:
        return AskedQuestion(standalone, standalone)
    searched = _with_what_was_said(question, history)
    return AskedQuestion(
        question,
        searched,
        (f"the question was not made stand-alone: {why}; searched with what was said before it",),
    )


async def _standalone(question: str, history: Sequence[Message], mesh: Rewriting) -> str | None:
    tokens = await mesh.model_tokens()
    messages = standalone_prompt(question, history, reserved=tokens.reserved)
    if messages is None:
        return None
    reply = await mesh.complete(messages, max_tokens=_MOST_TOKENS, stops=STANDALONE_STOPS)
    return read_standalone(reply, question, history)


def _with_what_was_said(question: str, history: Sequence[Message]) -> str:
    said = [message.content for message in history if message.role is Role.USER]
    return f"{said[-1][:_MOST_SAID]}\n{question}" if said else question
