"""What a model can be asked to continue, and what is refused before any work is put into it."""

from dataclasses import dataclass
from enum import StrEnum

from groundmesh.errors import InvalidArgument
from groundmesh.server.checks import not_empty

MAX_PROMPT_BYTES = 1024 * 1024
"""Of one prompt: past any window that is served here, and tokenized in a fraction of a second."""
MAX_MESSAGES = 1024
"""Of one conversation."""


class Role(StrEnum):
    """Who says a message, by the name that chat templates use."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation, put into the model's own template."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """A text that is continued as it stands."""

    text: str


Prompt = ChatPrompt | TextPrompt


def check_prompt(prompt: Prompt, *, field: str) -> None:
    """InvalidArgument that names what is wrong in the prompt at ``field``."""
    if isinstance(prompt, TextPrompt):
        not_empty(prompt.text, field=f"{field}.text")
        _check_bytes(len(prompt.text.encode()), field=f"{field}.text")
    else:
        _check_chat(prompt, field=f"{field}.chat.messages")


def _check_chat(prompt: ChatPrompt, *, field: str) -> None:
    messages = prompt.messages
    if not messages:
        raise InvalidArgument.of_field(field, "must hold at least one message")
    if len(messages) > MAX_MESSAGES:
        raise InvalidArgument.of_field(
            field, f"holds {len(messages)} messages; at most {MAX_MESSAGES} are taken"
        )
    for index, message in enumerate(messages):
        not_empty(message.content, field=f"{field}[{index}].content")
    if messages[-1].role is not Role.USER:
        last = len(messages) - 1
        raise InvalidArgument.of_field(f"{field}[{last}].role", "the last message must be a user's")
    _check_bytes(sum(len(message.content.encode()) for message in messages), field=field)


def _check_bytes(size: int, *, field: str) -> None:
    if size > MAX_PROMPT_BYTES:
        raise InvalidArgument.of_field(
            field, f"has {size} bytes, at most {MAX_PROMPT_BYTES} are taken"
        )
