"""The nouns of the retriever: collections and the settings of their index, documents, chunks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from groundmesh.names import CollectionName, DocumentName

Scalar = str | float | bool
"""A value of a document's metadata; every number is a float, as in ``google.protobuf.Struct``."""


class Pooling(StrEnum):
    """How the vectors of a text's tokens became one."""

    UNSPECIFIED = "UNSPECIFIED"
    MEAN = "MEAN"
    CLS = "CLS"
    LAST_TOKEN = "LAST_TOKEN"  # noqa: S105 - a way of pooling, no password
    MAX = "MAX"
    OTHER = "OTHER"


@dataclass(frozen=True)
class EmbeddingModel:
    """The model that made a collection's vectors, and all that they depend on."""

    model: str
    revision: str
    dimension: int
    max_input_tokens: int
    pooling: Pooling = Pooling.UNSPECIFIED
    normalized: bool = False
    query_prompt: str = ""
    passage_prompt: str = ""
    compute_dtype: str = ""


@dataclass(frozen=True)
class Splitting:
    """How the texts of a collection were split into chunks."""

    max_tokens: int
    overlap_tokens: int
    method: str


@dataclass(frozen=True)
class IndexConfig:
    """What an index depends on; a change of any of it makes another index."""

    embedding: EmbeddingModel
    splitting: Splitting
    language: str


@dataclass(frozen=True)
class Index:
    """One version of a collection's index: one collection of the vector store."""

    id: str
    version: int
    config: IndexConfig
    full_text: bool
    """Whether the store that built it can search its terms."""


@dataclass(frozen=True)
class Calibration:
    """From which cosine of question and best passage on a question is answered, as measured."""

    min_evidence: float
    auc: float
    """The area under the curve of belonging questions told from others by that cosine."""
    false_refusal_rate: float
    """Of belonging questions."""
    false_answer_rate: float
    """Of others."""
    answerable_questions: int
    unanswerable_questions: int
    update_time: datetime | None = None
    """When it was set; the catalog's to say."""


@dataclass(frozen=True)
class Collection:
    """A set of documents that are searched together."""

    uid: str
    """Never used again, even for a collection of the same name."""
    name: CollectionName
    description: str
    index: Index
    create_time: datetime
    update_time: datetime
    swap_time: datetime | None = None
    """When its index took the place of another; None for a first one."""
    calibration: Calibration | None = None
    """Of the embedding model that serves."""


@dataclass(frozen=True)
class CollectionChange:
    """What of a collection, without another index, is to be different: that of ``fields``."""

    fields: frozenset[str]
    description: str = ""
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Reindex:
    """A reindex under way."""

    id: str
    index: Index
    """The shadow index."""
    begin_time: datetime


@dataclass(frozen=True)
class ReindexView:
    """A reindex under way with how far it is."""

    reindex: Reindex
    document_count: int
    """Documents that are in its index."""
    missing_count: int
    """Documents that are not."""


@dataclass(frozen=True)
class CollectionView:
    """A collection with what is shown beside it."""

    collection: Collection
    document_count: int
    chunk_count: int
    reindex: ReindexView | None = None
    """The one under way."""


@dataclass(frozen=True)
class DocumentDraft:
    """What the writer of a document says about it."""

    uri: str
    title: str
    media_type: str
    content_sha256: str
    content_bytes: int
    reader_labels: tuple[str, ...]
    metadata: Mapping[str, Scalar]


@dataclass(frozen=True)
class DocumentHead:
    """What a found chunk says of its document: what a search reads of the catalog."""

    name: DocumentName
    uri: str
    title: str
    content_sha256: str
    text_sha256: str


@dataclass(frozen=True)
class Document:
    """A committed document, as the catalog knows it."""

    name: DocumentName
    draft: DocumentDraft
    text_sha256: str
    text_bytes: int
    chunk_count: int
    create_time: datetime
    update_time: datetime

    @property
    def head(self) -> DocumentHead:
        """What its chunks say of it."""
        draft = self.draft
        return DocumentHead(
            self.name, draft.uri, draft.title, draft.content_sha256, self.text_sha256
        )


@dataclass(frozen=True)
class Place:
    """Where a chunk stands, as a reader would say it; None and empty say nothing."""

    heading_path: tuple[str, ...] = ()
    page: int | None = None
    sheet: str | None = None
    slide: int | None = None


@dataclass(frozen=True)
class ChunkSpan:
    """A chunk as its splitter hands it in: a range of the document's text."""

    ordinal: int
    start_byte: int
    end_byte: int
    tokens: int
    place: Place


@dataclass(frozen=True)
class Chunk:
    """A chunk with its text."""

    span: ChunkSpan
    text: str


class Outcome(StrEnum):
    """What a write did."""

    CREATED = "CREATED"
    REPLACED = "REPLACED"
    UNCHANGED = "UNCHANGED"


@dataclass(frozen=True)
class Upserted:
    """A committed document, and what the write did."""

    document: Document
    outcome: Outcome
