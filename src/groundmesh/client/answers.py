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
class Final:
    """The end of an answer."""

    abstained: bool
    model: str
    finish_reason: FinishReason
    usage: Usage
    timings_ms: Mapping[str, float]
    removed_citations: int
    mode: SearchMode
    degraded: tuple[str, ...]
    """What did not run although it was asked for, in plain words."""


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
