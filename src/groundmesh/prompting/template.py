"""A prompt's template: what is the same for every question, and the frame of what is not.

The constant part comes first, which an engine with a prefix cache reads only once. Every line of
the frame begins with words of its own, so that foreign text can be kept from imitating it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from groundmesh.prompting.frame import SEPARATOR, FrameLine
from groundmesh.prompting.looks import look
from groundmesh.prompting.messages import Message, Role
from groundmesh.quotes import BEGIN_QUOTE, END_QUOTE

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TEXT = "{text}"
_LEAST_WORDS = 3
_MARKER = re.compile(r"\[([0-9]+)\]")
_QUOTE = re.compile(f"{BEGIN_QUOTE}(.*?){END_QUOTE}", re.DOTALL)


class TemplateError(ValueError):
    """A template can't work: which of its fields, and why."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field} {description}")
        self.field = field
        self.description = description

    def within(self, outer: str) -> "TemplateError":
        """The same of a field that lies in another."""
        return TemplateError(f"{outer}{self.field}", self.description)


class AnswerStyle(StrEnum):
    """How an answer says what it rests on."""

    MARKERS = "markers"
    """``[2]``: the number of the passage."""
    QUOTES = "quotes"
    """``##begin_quote##...##end_quote##``: its words, as RAFT has it (arXiv 2403.10131)."""


class PassageOrder(StrEnum):
    """Where the best passage stands."""

    BEST_FIRST = "best_first"
    BEST_LAST = "best_last"
    """Next to the question."""


@dataclass(frozen=True)
class Passage:
    """A piece of a document, as it was found; ``title`` and ``place`` may be empty."""

    title: str
    place: str
    text: str


@dataclass(frozen=True)
class Example:
    """A question with its passages, and the answer that it should get."""

    passages: tuple[Passage, ...]
    question: str
    answer: str


@dataclass(frozen=True)
class Template:
    """How a question and its passages become a prompt; TemplateError where it can't work."""

    name: str
    version: int
    system: str
    """The task."""
    passage: str
    """Lines around a passage: ``{text}`` is one by itself, ``{number}`` in the first, ``{source}``
    (title and place) in any."""
    question: str
    """Lines around ``{question}``; what the model is to be reminded of comes behind it."""
    style: AnswerStyle
    order: PassageOrder = PassageOrder.BEST_FIRST
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        """Check what a prompt relies on."""
        if not _NAME.fullmatch(self.name):
            raise TemplateError("name", "must be of a-z, 0-9 and -, at most 63")
        if self.version < 1:
            raise TemplateError("version", "must be 1 or more")
        if not self.system.strip():
            raise TemplateError("system", "must not be empty")
        _check_frames(self.passage.split("\n"), self.question.split("\n"))
        for index, example in enumerate(self.examples):
            _check_example(f"examples[{index}]", example)

    @property
    def reference(self) -> str:
        """``{name}@{version}``."""
        return f"{self.name}@{self.version}"

    @cached_property
    def frame(self) -> tuple[FrameLine, ...]:
        """All lines that foreign text stands between."""
        return tuple(_own_lines(self.passage, self.question))

    @cached_property
    def constant_messages(self) -> tuple[Message, ...]:
        """The beginning of every prompt."""
        messages = [Message(Role.SYSTEM, self.system)]
        for example in self.examples:
            blocks = [
                self.passage_block(number, source=source(passage), text=passage.text)
                for number, passage in enumerate(example.passages, start=1)
            ]
            messages.append(self.user_message(blocks, example.question))
            messages.append(Message(Role.ASSISTANT, example.answer))
        return tuple(messages)

    def passage_block(self, number: int, *, source: str, text: str) -> str:
        """One passage in its frame."""
        values = {"number": str(number), "source": source}
        return "\n".join(
            text if line == _TEXT else FrameLine(line).filled(values)
            for line in self.passage.split("\n")
        )

    def question_block(self, question: str) -> str:
        """What follows the passages."""
        values = {"question": question}
        return "\n".join(FrameLine(line).filled(values) for line in self.question.split("\n"))

    def user_message(self, blocks: Sequence[str], question: str) -> Message:
        """The turn that the model answers."""
        return Message(Role.USER, SEPARATOR.join((*blocks, self.question_block(question))))

    def stops(self, passages: int) -> tuple[str, ...]:
        """The lines with which a model would go on with a prompt of so many passages."""
        first_lines = next(_own_lines(self.question)), next(_own_lines(self.passage))
        return tuple(line.stop(passages + 1) for line in first_lines)


def source(passage: Passage) -> str:
    """Title and place, as the frame names them."""
    return ", ".join(part for part in (passage.title, passage.place) if part)


def _own_lines(*frames: str) -> Iterator[FrameLine]:
    for frame in frames:
        for line in frame.split("\n"):
            if line.strip() and line != _TEXT:
                yield FrameLine(line)


def _check_frames(passage: Sequence[str], question: Sequence[str]) -> None:
    first = FrameLine(passage[0])
    if passage.count(_TEXT) != 1 or "number" not in first.places:
        raise TemplateError("passage", "must have {number} in its first line, and a line {text}")
    framed = FrameLine("\n".join(line for line in passage if line != _TEXT))
    _check_places("passage", framed, required="number", allowed={"number", "source"})
    _check_places(
        "question", FrameLine("\n".join(question)), required="question", allowed={"question"}
    )
    lines = [("passage", line) for line in _own_lines("\n".join(passage))]
    lines += [("question", line) for line in _own_lines("\n".join(question))]
    for field, line in lines:
        if len(look(line.words).strip()) < _LEAST_WORDS or line.words.startswith((">", " ", "\t")):
            raise TemplateError(
                field, f"must begin each line with words of its own, not so: {line.text!r}"
            )
    words = [(field, " ".join(look(line.words).lower().split())) for field, line in lines]
    for index, (field, mine) in enumerate(words):
        others = words[:index] + words[index + 1 :]
        if any(other.startswith(mine) for _, other in others):
            raise TemplateError(field, f"must begin no two lines with the same words: {mine!r}")


def _check_places(field: str, framed: FrameLine, *, required: str, allowed: set[str]) -> None:
    unknown = set(framed.places) - allowed
    if unknown:
        raise TemplateError(field, f"has {{{min(unknown)}}}, but takes {_named(allowed)} only")
    if required not in framed.places:
        raise TemplateError(field, f"must have {{{required}}}")


def _named(places: set[str]) -> str:
    return " and ".join(f"{{{place}}}" for place in sorted(places))


def _check_example(field: str, example: Example) -> None:
    """An example that cites what is not there would teach a model just that."""
    numbers = {int(number) for number in _MARKER.findall(example.answer)}
    if numbers - set(range(1, len(example.passages) + 1)):
        raise TemplateError(f"{field}.answer", "names a passage that the example does not have")
    for quote in _QUOTE.findall(example.answer):
        if not any(quote in passage.text for passage in example.passages):
            raise TemplateError(f"{field}.answer", f"quotes what no passage has: {quote!r}")
