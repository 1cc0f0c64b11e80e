"""The words of the prompt: what is the same for every question, and the frame of what is not.

``docs/adr`` says what was measured. Each answer begins with a number, not ends with one: a small
model has forgotten the number by the end of its sentence, and a large one does either. A passage's
heading has no brackets, since a small model that begins with ``[2]`` would go on with the heading.
"""

from collections.abc import Sequence
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


SEPARATOR = "\n\n"
"""Between two passages, and between the last one and the question."""

_SYSTEM = (
    "You answer questions from numbered passages, and from nothing else. "
    "Begin every answer with the number of its passage in square brackets."
)
_REMINDER = "Begin your answer with the number of the passage in square brackets."


def passage_block(number: int, *, title: str, place: str, text: str) -> str:
    """One passage in its frame."""
    where = ", ".join(part for part in (title, place) if part)
    return f"Passage {number}: {where}".rstrip() + f"\n{text}"


def question_block(question: str) -> str:
    """What follows the passages."""
    return f"Question: {question}\n\n{_REMINDER}"


def frame_goes_on(passages: int) -> tuple[str, ...]:
    """The lines with which a model would go on with a prompt of so many passages."""
    return (f"{SEPARATOR}Question:", f"{SEPARATOR}Passage {passages + 1}:")


def user_message(blocks: Sequence[str], question: str) -> Message:
    """The turn that the model answers."""
    return Message(Role.USER, SEPARATOR.join((*blocks, question_block(question))))


def _example(question: str, answer: str) -> tuple[Message, Message]:
    blocks = (
        passage_block(
            1,
            title="Harbour guide",
            place="",
            text="The ferry to Ormsay leaves from pier 4 at 7:40 and at 16:15. "
            "It does not run on Sundays.",
        ),
        passage_block(
            2,
            title="Ormsay tickets",
            place="",
            text="A return ticket costs 12 crowns. Children under six travel free.",
        ),
    )
    return user_message(blocks, question), Message(Role.ASSISTANT, answer)


CONSTANT_MESSAGES = (
    Message(Role.SYSTEM, _SYSTEM),
    *_example("What does the ferry to Ormsay cost?", "[2] A return ticket costs 12 crowns."),
    *_example("When does the ferry leave?", "[1] It leaves from pier 4 at 7:40 and at 16:15."),
)
"""The beginning of every prompt, which an engine with a prefix cache reads only once."""
