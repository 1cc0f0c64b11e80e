"""The conversation that a model continues."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Who says a message, by the name that chat templates use."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class Message:
    """One message of the conversation that the model continues."""

    role: Role
    content: str
