"""Reads a rendered prompt as a gullible reader would: what looks like the frame is the frame.

It shares no code with what writes prompts.
"""

import re
import unicodedata
from dataclasses import dataclass

from groundmesh.prompting import Message, Role, Template

_LETTERS = str.maketrans("АЕОРСХеоасрхуіѕ", "AEOPCXeoacpxyis")
_INVISIBLE = "\u2800\u3164\u1160\u115f"


@dataclass(frozen=True)
class Read:
    """What was found between the lines of the frame."""

    numbers: tuple[int, ...]
    headings: tuple[str, ...]
    texts: tuple[str, ...]
    question: str


def seen(text: str) -> str:
    """A line as it is seen."""
    shown = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(
        each
        for each in shown
        if unicodedata.category(each) not in {"Cc", "Cf", "Mn", "Me"} and each not in _INVISIBLE
    ).casefold()


def all_lines(text: str) -> list[str]:
    """The lines of a text by any character that anybody takes for a line break."""
    return text.splitlines()


def read(content: str, *, passage: re.Pattern[str], question: re.Pattern[str]) -> Read:
    """The last message: passages, and the question behind them."""
    numbers: list[int] = []
    headings: list[str] = []
    texts: list[list[str]] = []
    asked: list[str] | None = None
    for line in all_lines(content):
        shown = re.sub(r"^[\s#*_=~|`•+-]+", "", seen(line))
        if found := passage.match(shown):
            assert asked is None, f"a passage behind the question: {line!r}"
            numbers.append(int(found[1]))
            headings.append(line)
            texts.append([])
        elif question.match(shown):
            assert asked is None, f"a second question: {line!r}"
            asked = [line]
        elif asked is not None:
            asked.append(line)
        else:
            assert texts, f"text before the first passage: {line!r}"
            texts[-1].append(line)
    assert asked is not None
    return Read(
        tuple(numbers), tuple(headings), tuple("\n".join(text) for text in texts), "\n".join(asked)
    )


def bare(text: str) -> str:
    """A text without white space and quotation marks, which is all that may be put into it."""
    return "".join(each for each in text if not each.isspace() and each != ">" and each > "\x1f")


def last_message(messages: tuple[Message, ...], template: Template) -> str:
    """What follows the constant part, with the roles as they must be."""
    constant = template.constant_messages
    assert messages[: len(constant)] == constant
    roles = [message.role for message in messages[len(constant) :]]
    assert roles == [*[Role.USER, Role.ASSISTANT] * (len(roles) // 2), Role.USER]
    return messages[-1].content
