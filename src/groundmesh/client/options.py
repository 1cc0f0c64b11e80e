"""How calls are made: frozen values, no protobuf types."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class SearchMode(StrEnum):
    """What passages are ranked by."""

    UNSPECIFIED = "UNSPECIFIED"
    """In a request: hybrid where the store has full text, else dense."""
    DENSE = "DENSE"
    SPARSE = "SPARSE"
    HYBRID = "HYBRID"


class Consistency(StrEnum):
    """How fresh a search must be."""

    UNSPECIFIED = "UNSPECIFIED"
    """In a request: session."""
    BOUNDED = "BOUNDED"
    SESSION = "SESSION"
    STRONG = "STRONG"


class Operator(StrEnum):
    """How a metadata field is compared."""

    EQUAL = "EQUAL"
    NOT_EQUAL = "NOT_EQUAL"
    LESS = "LESS"
    LESS_OR_EQUAL = "LESS_OR_EQUAL"
    GREATER = "GREATER"
    GREATER_OR_EQUAL = "GREATER_OR_EQUAL"
    IN = "IN"


@dataclass(frozen=True)
class Compare:
    """A metadata field compares so with one value, or with several for ``IN``."""

    field: str
    operator: Operator
    values: Sequence[str | float | bool]


@dataclass(frozen=True)
class AllOf:
    """All of these hold."""

    filters: Sequence["Filter"]


@dataclass(frozen=True)
class AnyOf:
    """At least one of these holds."""

    filters: Sequence["Filter"]


@dataclass(frozen=True)
class NoneOf:
    """None of these holds."""

    filters: Sequence["Filter"]


Filter: TypeAlias = Compare | AllOf | AnyOf | NoneOf


@dataclass(frozen=True)
class RankFusion:
    """A hybrid search sums 1 / (constant + rank) of both rankings; 0: the server's constant."""

    constant: int = 0


@dataclass(frozen=True)
class WeightedFusion:
    """A hybrid search sums both scores, scaled to 0 to 1; the sparse one has the rest of 1."""

    dense_weight: float


Fusion: TypeAlias = RankFusion | WeightedFusion


@dataclass(frozen=True)
class Diversity:
    """Passages that differ from those before them: what nearness to the query weighs, 0 to 1."""

    relevance_weight: float


@dataclass(frozen=True)
class Retrieval:
    """How passages are found; ``limit`` 0 and the like leave it to the server.

    ``max_chunks_per_document`` 0 is any number. ``rerank`` orders by the mesh's cross-encoder;
    ``merge_neighbors`` gives chunks that follow each other as one passage.
    """

    mode: SearchMode = SearchMode.UNSPECIFIED
    limit: int = 0
    max_chunks_per_document: int = 0
    filter: Filter | None = None
    consistency: Consistency = Consistency.UNSPECIFIED
    fusion: Fusion | None = None
    rerank: bool = False
    diversity: Diversity | None = None
    merge_neighbors: bool = False


@dataclass(frozen=True)
class Sampling:
    """How the answer's tokens are chosen; None is the model's own default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: Sequence[str] = ()
    max_tokens: int | None = None


class Role(StrEnum):
    """Who says a message of a conversation."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class ChatMessage:
    """One message of the conversation before a question."""

    role: Role
    content: str


@dataclass(frozen=True)
class Timeouts:
    """How long a call may take, in seconds, unless it is given a time of its own."""

    call_s: float = 30.0
    """Search, status, and reading of collections and documents."""
    write_s: float = 120.0
    """Creating, changing and deleting."""
    answer_s: float = 120.0
    """A whole answer, from the call to its end."""
    ingest_silence_s: float = 120.0
    """An ingestion has no end in time, but the server speaks about once a second."""
