"""What the client gives: frozen values, no protobuf types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from groundmesh.client.options import SearchMode
from groundmesh.errors import MeshError

Metadata: TypeAlias = Mapping[str, str | float | bool]
"""What a document says of itself for filters: flat."""


@dataclass(frozen=True)
class EmbeddingModel:
    """The model that made a collection's vectors."""

    model: str
    revision: str
    dimension: int
    max_input_tokens: int


@dataclass(frozen=True)
class IndexSettings:
    """How a collection is indexed; what is left out is the server's default.

    ``overlap_tokens`` is what a chunk repeats of the one before it, ``language`` that of stemming
    and stop words as in ISO 639-1 (``und``: neither).
    """

    embedding_model: str = ""
    max_tokens: int = 0
    overlap_tokens: int | None = None
    language: str = ""


@dataclass(frozen=True)
class Reindex:
    """A reindex under way: an index that is built beside the one that serves."""

    id: str
    built: bool
    """Whether every document is in it, so that it can be committed."""
    index: IndexSettings
    document_count: int
    """Documents in it."""
    index_version: int
    began: datetime


@dataclass(frozen=True)
class ReindexFailed:
    """A document that could not be built; the reindex can't be committed without it."""

    name: str
    uri: str
    error: MeshError


@dataclass(frozen=True)
class ReindexProgress:
    """How far a reindex is."""

    documents_done: int
    documents_total: int
    documents_failed: int
    chunks: int
    """Of this run."""
    elapsed_s: float


ReindexEvent: TypeAlias = ReindexFailed | ReindexProgress


@dataclass(frozen=True)
class Calibration:
    """From which cosine of question and nearest passage on a question is put to the model."""

    min_evidence: float
    auc: float
    """How often a belonging question has more evidence than another one."""
    false_refusal_rate: float
    """Of belonging questions, with this bound."""
    false_answer_rate: float
    """Of others."""
    answerable_questions: int
    """That it was measured on."""
    unanswerable_questions: int
    updated: datetime | None = None
    """The server's to set."""


@dataclass(frozen=True)
class Collection:
    """A set of documents that are searched together."""

    name: str
    description: str
    index: IndexSettings
    embedding: EmbeddingModel
    index_version: int
    document_count: int
    chunk_count: int
    created: datetime
    updated: datetime
    reindex: Reindex | None = None
    """The one under way."""
    calibration: Calibration | None = None
    """None: the gateway's own bound holds."""

    @property
    def id(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Document:
    """A document, as the catalog knows it; sizes are bytes."""

    name: str
    uri: str
    title: str
    media_type: str
    content_sha256: str
    content_bytes: int
    text_sha256: str
    text_bytes: int
    chunk_count: int
    reader_labels: tuple[str, ...]
    metadata: Metadata
    created: datetime
    updated: datetime

    @property
    def id(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Place:
    """Where in its document a piece of text stands; pages and slides count from 1."""

    heading_path: tuple[str, ...] = ()
    page: int | None = None
    sheet: str | None = None
    slide: int | None = None

    def __str__(self) -> str:
        """As a reader would say it: ``page 3, Setup > Linux``."""
        parts = [
            f"page {self.page}" if self.page is not None else "",
            f"sheet {self.sheet}" if self.sheet is not None else "",
            f"slide {self.slide}" if self.slide is not None else "",
            " > ".join(self.heading_path),
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Chunk:
    """A piece of a document; ``start_byte`` and ``end_byte`` are UTF-8 bytes into its text."""

    id: str
    document: str
    ordinal: int
    text: str
    start_byte: int
    end_byte: int
    place: Place
    tokens: int


@dataclass(frozen=True)
class Passage:
    """A passage that a search found. Larger scores are better; None: that search missed it."""

    chunk: Chunk
    uri: str
    title: str
    score: float
    dense_score: float | None
    sparse_score: float | None
    rerank_score: float | None = None
    """The cross-encoder's; None: it was not asked, or could not be."""


@dataclass(frozen=True)
class SearchResult:
    """What a search found, best first, and how long each stage took in milliseconds."""

    passages: tuple[Passage, ...]
    mode: SearchMode
    timings_ms: Mapping[str, float]
    degraded: tuple[str, ...]
    """What did not run although it was asked for, in plain words."""


@dataclass(frozen=True)
class ServerStatus:
    """One service of the mesh, as the gateway sees it."""

    service: str
    address: str
    ready: bool
    version: str = ""
    engine: str = ""
    engine_version: str = ""
    models: tuple[str, ...] = ()
    uptime_s: float = 0.0
    load: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    """Why it can't be reached; empty when it can."""
