"""What one object of a dataset must hold to be a row."""

from collections.abc import Mapping
from typing import Any

from groundmesh_trainer.datasets.rows import ChatRow, PromptRow, QaRow, Row, Turn

ROLES = ("system", "user", "assistant")
MAX_TEXT_CHARS = 1_000_000
"""Of one field: more than any model reads."""

_PAIRS = (("prompt", "completion"), ("instruction", "output"), ("instruction", "response"))
_MORE_INPUT = "input"
"""What Alpaca's rows have beside the instruction; often empty."""


class BadRow(ValueError):
    """An object that can't be a row; the message says why, for who wrote it."""


def row_of(value: Any) -> Row:
    """The row that an object holds; BadRow when it holds none."""
    if not isinstance(value, dict):
        raise BadRow("is no object of fields and values")
    if "messages" in value:
        return _chat(value)
    if "question" in value:
        return qa_row(value)
    for prompt, completion in _PAIRS:
        if prompt in value and completion in value:
            return _pair(value, prompt, completion)
    raise BadRow(
        "has neither messages, nor prompt and completion (or instruction and output), nor question"
    )


def text_of(value: Mapping[str, Any], field: str, *, empty_too: bool = False) -> str:
    """A text field of an object; BadRow when it is none, or empty."""
    text = value.get(field, "" if empty_too else None)
    if text is None and empty_too:
        return ""
    if not isinstance(text, str):
        raise BadRow(f"{field} must be a text" if field in value else f"has no {field}")
    return checked_text(text, field, empty_too=empty_too)


def checked_text(text: str, field: str, *, empty_too: bool = False) -> str:
    """``text`` if it can be learned from."""
    if not empty_too and not text.strip():
        raise BadRow(f"{field} is empty")
    if len(text) > MAX_TEXT_CHARS:
        raise BadRow(f"{field} has {len(text)} characters; {MAX_TEXT_CHARS} are the most")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRow(f"{field} has a character that is none, at {error.start}") from None
    return text


def _group(value: Mapping[str, Any]) -> str:
    return text_of(value, "group", empty_too=True)


def _chat(value: Mapping[str, Any]) -> ChatRow:
    messages = value["messages"]
    if not isinstance(messages, list) or not messages:
        raise BadRow("messages must be a list of role and content")
    turns = tuple(_turn(message, f"messages[{at}]") for at, message in enumerate(messages))
    if turns[-1].role != "assistant":
        raise BadRow(f"the last message is the {turns[-1].role}'s: there is nothing to learn")
    if not any(turn.role == "user" for turn in turns):
        raise BadRow("no message is a user's")
    return ChatRow(turns, _group(value))


def _turn(message: object, where: str) -> Turn:
    if not isinstance(message, dict):
        raise BadRow(f"{where} must have role and content")
    role = message.get("role")
    if role not in ROLES:
        raise BadRow(f"{where}.role must be one of {', '.join(ROLES)}")
    content = message.get("content")
    if not isinstance(content, str):
        raise BadRow(f"{where}.content must be a text")
    return Turn(role, checked_text(content, f"{where}.content"))


def _pair(value: Mapping[str, Any], prompt: str, completion: str) -> PromptRow:
    asked = text_of(value, prompt)
    more = text_of(value, _MORE_INPUT, empty_too=True) if prompt == "instruction" else ""
    asked = f"{asked}\n\n{more}" if more.strip() else asked
    return PromptRow(asked, text_of(value, completion), _group(value))


def qa_row(value: Mapping[str, Any]) -> QaRow:
    """The row of a question; BadRow when it is none."""
    question, context = text_of(value, "question"), text_of(value, "context", empty_too=True)
    answers = _answers(value)
    if not answers and not context.strip():
        raise BadRow("has neither an answer nor a context")
    return QaRow(question, context, answers, _group(value))


def _answers(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Each once, in their order; none for a question that its context does not answer."""
    given = value.get("answers", value.get("answer"))
    if given is None or given == "":
        given = []
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not all(isinstance(answer, str) for answer in given):
        raise BadRow("answers must be a list of texts, or answer a text")
    impossible = value.get("is_impossible", not given)
    if not isinstance(impossible, bool):
        raise BadRow("is_impossible must be true or false")
    if impossible and given:
        raise BadRow("is_impossible, and yet has an answer")
    if not impossible and not given:
        raise BadRow("has no answer, and is_impossible is not true")
    return tuple(dict.fromkeys(checked_text(answer, "answer") for answer in given))
