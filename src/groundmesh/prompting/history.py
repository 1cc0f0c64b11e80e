"""The turns of a conversation before a question."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundmesh.prompting.messages import Message, Role
from groundmesh.prompting.neutral import Neutral, without_citations

_NOTHING = "…"
"""What stands for a side of a turn that said nothing: chat templates want both."""


@dataclass(frozen=True)
class Turn:
    """What the user said, and what was answered."""

    user: str
    assistant: str

    def neutral(self, neutral: Neutral) -> "Turn":
        """The same, harmless, and without citations of passages that aren't there any more."""
        said = without_citations(self.assistant) or _NOTHING  # it may have been citations only
        return Turn(neutral.text(self.user), neutral.text(said))

    def messages(self) -> tuple[Message, Message]:
        """The turn as the model gets it."""
        return Message(Role.USER, self.user), Message(Role.ASSISTANT, self.assistant)


def turns_of(history: Sequence[Message]) -> list[Turn]:
    """A conversation as turns, oldest first; messages of one role in a row are one."""
    turns: list[Turn] = []
    user: list[str] = []
    assistant: list[str] = []
    for message in history:
        if message.role is Role.USER and assistant:
            turns.append(_turn(user, assistant))
            user, assistant = [], []
        (user if message.role is Role.USER else assistant).append(message.content)
    if user or assistant:
        turns.append(_turn(user, assistant))
    return turns


def _turn(user: Sequence[str], assistant: Sequence[str]) -> Turn:
    return Turn("\n\n".join(user) or _NOTHING, "\n\n".join(assistant) or _NOTHING)
