"""What a model can be asked to continue, and what is refused before any work is put into it."""

from dataclasses import dataclass
from enum import StrEnum

from groundmesh.errors import InvalidArgument, Reason
from groundmesh.server.checks import not_empty

BYTES_PER_TOKEN = 32
"""No text has so many on average; one with more than a window of them is not even tokenized."""
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


def check_prompt(prompt: Prompt, *, field: str, context_tokens: int) -> None:
    """InvalidArgument that names what is wrong in the prompt at ``field``."""
    if isinstance(prompt, TextPrompt):
        field, texts = f"{field}.text", [prompt.text]
        not_empty(prompt.text, field=field)
    else:
        field, texts = f"{field}.chat.messages", [each.content for each in prompt.messages]
        _check_chat(prompt, field=field)
    size, limit = sum(len(text.encode()) for text in texts), context_tokens * BYTES_PER_TOKEN
    if size > limit:
        raise InvalidArgument.of_field(
            field,
            f"has {size} bytes; a window of {context_tokens} tokens takes {limit} at most",
            reason=Reason.INPUT_TOO_LONG,
        )


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
