"""The events of an answer, and the answer that they add up to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from groundmesh.client.options import SearchMode
from groundmesh.client.values import Passage


class CitationKind(StrEnum):
    """How a citation is known."""

    UNSPECIFIED = "UNSPECIFIED"
    VERBATIM = "VERBATIM"
    """The quote stands in its source word for word; only this is called verified."""
    MARKER = "MARKER"
    """The model wrote ``[n]``, and passage n was really sent to it."""
    INFERRED = "INFERRED"
    """The sentence was aligned to the source afterwards."""


class FinishReason(StrEnum):
    """Why an answer ended."""

    UNSPECIFIED = "UNSPECIFIED"
    STOP = "STOP"
    """The model was done."""
    LENGTH = "LENGTH"
    """The most tokens were reached."""


class Abstention(StrEnum):
    """Why a question was not answered."""

    UNSPECIFIED = "UNSPECIFIED"
    """The server did not say."""
    NO_PASSAGE = "NO_PASSAGE"
    """No passage was found; the model was not asked."""
    LOW_EVIDENCE = "LOW_EVIDENCE"
    """No passage was near enough to the question; the model was not asked."""
    MODEL = "MODEL"
    """The model itself said that the passages don't answer it."""


@dataclass(frozen=True)
class Source:
    """A passage that the model was given; ``truncated`` when only its beginning had room."""

    number: int
    passage: Passage
    truncated: bool


@dataclass(frozen=True)
class Sources:
    """The passages that the model is given, in the order of their numbers."""

    sources: tuple[Source, ...]
    standalone_question: str = ""
    """The question that they were found for, where the conversation made another one of it."""


@dataclass(frozen=True)
class Delta:
    """More of the answer."""

    text: str


@dataclass(frozen=True)
class Citation:
    """What a part of the answer rests on; all offsets are UTF-8 bytes."""

    kind: CitationKind
    source: int
    quote: str
    start_byte: int
    end_byte: int
    answer_start_byte: int
    answer_end_byte: int
    score: float | None


@dataclass(frozen=True)
class Usage:
    """The tokens that an answer took."""

    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int


@dataclass(frozen=True)
class Coverage:
    """How many sentences of an answer are cited; one may count in several ways."""

    sentences: int = 0
    cited: int = 0
    """With a citation of any kind."""
    verbatim: int = 0
    marker: int = 0
    inferred: int = 0


@dataclass(frozen=True)
class Final:
    """The end of an answer."""

    abstained: bool
    model: str
    finish_reason: FinishReason
    usage: Usage
    timings_ms: Mapping[str, float]
    removed_citations: int
    """Citations that did not check."""
    mode: SearchMode
    degraded: tuple[str, ...]
    """What did not run although it was asked for, in plain words."""
    abstention: Abstention | None = None
    """Why it was not answered; None: it was."""
    evidence: float | None = None
    """The cosine of the question and the passage nearest to it."""
    coverage: Coverage = Coverage()
    template: str = ""
    """That of the prompt, ``name@version``; empty when the model was not asked."""


AskEvent: TypeAlias = Sources | Delta | Citation | Final
"""One step of an answer. New kinds may come: ignore what you don't know."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    question: str
    text: str
    sources: tuple[Source, ...]
    citations: tuple[Citation, ...]
    final: Final
    standalone_question: str = ""
    """The question that its sources were found for, where it is another one."""
