"""The three kinds of rows, and the one form in which each is kept."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: str
    """``system``, ``user`` or ``assistant``."""
    content: str


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A conversation whose last turn, the assistant's, is to be learned."""

    kind: ClassVar[str] = "chat"
    messages: tuple[Turn, ...]
    group: str = ""

    @property
    def subject(self) -> str:
        """All that is said in it."""
        return "\n".join(turn.content for turn in self.messages)


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt and its completion."""

    kind: ClassVar[str] = "prompt"
    prompt: str
    completion: str
    group: str = ""

    @property
    def subject(self) -> str:
        """Both of them."""
        return f"{self.prompt}\n{self.completion}"


@dataclass(frozen=True, slots=True)
class QaRow:
    """A question, the passage that it is put to, and its answers; none where it has none."""

    kind: ClassVar[str] = "qa"
    question: str
    context: str
    answers: tuple[str, ...]
    group: str = ""

    @property
    def subject(self) -> str:
        """The passage: who has learned from it has seen what any question about it asks for."""
        return self.context or self.question


Row: TypeAlias = ChatRow | PromptRow | QaRow
"""``group`` names what the row was taken from, an article say: it is never on both sides of a
split. ``subject`` is the text by which two rows are told to be near-duplicates."""


def to_json(row: Row) -> str:
    """A row on one line, the same for equal rows; without what is empty."""
    said = {name: value for name, value in asdict(row).items() if value not in ("", ())}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def from_json(line: str) -> Row:
    """The row that ``to_json`` wrote."""
    said: Mapping[str, Any] = json.loads(line)
    group: str = said.get("group", "")
    if "messages" in said:
        return ChatRow(tuple(Turn(**turn) for turn in said["messages"]), group)
    if "prompt" in said:
        return PromptRow(said["prompt"], said["completion"], group)
    return QaRow(said["question"], said.get("context", ""), tuple(said.get("answers", ())), group)
