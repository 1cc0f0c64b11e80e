"""What goes through an ingestion, and what it needs of the embedder and of the retriever."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from groundmesh.errors import MeshError
from groundmesh_gateway.preparing import Chunk
from groundmesh_gateway.splitting import Splitting
from groundmesh_gateway.workers import TokenizerFile

Scalar = str | float | bool


@dataclass(frozen=True)
class Target:
    """The collection that documents go into, and what its chunks and vectors depend on."""

    collection: str
    splitting: Splitting
    model: str
    revision: str
    passage_prompt: str
    model_tokens: int
    tokenizer: TokenizerFile
    index_version: int = 0
    reindex_id: str = ""
    """Of the shadow index that the target is; empty for the index that serves."""


@dataclass(frozen=True)
class Plan:
    """All that a document has to be written to, in one commit."""

    serving: Target
    shadow: Target | None = None
    """While the collection is reindexed."""


@dataclass(frozen=True)
class Description:
    """What a client says of a document; empty where it leaves something to be found out."""

    uri: str
    media_type: str = ""
    title: str = ""
    reader_labels: tuple[str, ...] = ()
    metadata: Mapping[str, Scalar | None] = field(default_factory=dict)
    """None stands for a value that is of no kind that a document may have."""


@dataclass(frozen=True)
class Part:
    """More bytes of the document that was begun."""

    data: bytes


@dataclass(frozen=True)
class End:
    """The document that was begun is complete, or given up."""

    abandon: bool = False


Step = Description | Part | End
"""Documents come one after the other: a description, parts, an end."""


@dataclass(frozen=True)
class NewDocument:
    """A document as it is to be written."""

    description: Description
    """With title and media type found out."""
    content_sha256: str
    content_bytes: int
    text: bytes
    outline: bytes
    chunk_count: int


@dataclass(frozen=True)
class KnownDocument:
    """A document that is there."""

    name: str
    description: Description
    content_sha256: str
    chunk_count: int


@dataclass(frozen=True)
class Matrix:
    """Vectors: row-major, little-endian 32-bit floats."""

    data: bytes
    rows: int
    dimension: int

    def rows_from(self, start: int, count: int) -> "Matrix":
        """Some of the rows."""
        width = 4 * self.dimension
        return Matrix(self.data[start * width : (start + count) * width], count, self.dimension)


@dataclass(frozen=True)
class EmbeddedChunks:
    """Chunks of a document, in order, with a row for each."""

    chunks: Sequence[Chunk]
    vectors: Matrix


class Outcome(Enum):
    """What became of a document."""

    INDEXED = "INDEXED"
    REPLACED = "REPLACED"
    UNCHANGED = "UNCHANGED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class DocumentDone:
    """What became of one document; ``error`` says why it failed."""

    uri: str
    outcome: Outcome
    chunk_count: int = 0
    name: str = ""
    error: MeshError | None = None


@dataclass(frozen=True)
class Progress:
    """How far an ingestion is."""

    documents_done: int
    documents_failed: int
    chunks: int
    bytes_read: int
    elapsed_s: float
    chunks_per_s: float
    """Over the last seconds."""
    bytes_per_s: float


@dataclass(frozen=True)
class ChunkStream:
    """A document's chunks for one target, and how many there will be."""

    parts: AsyncIterator[EmbeddedChunks]
    count: int


class Embedder(Protocol):
    """Turns passages into vectors with the model of a target."""

    async def embed(self, texts: Sequence[str]) -> Matrix:
        """A row for each text; MeshError when there is none to be had."""
        ...


class DocumentStore(Protocol):
    """The documents of a target's collection."""

    async def find(self, uri: str) -> KnownDocument | None:
        """The document at a URI, if it is there for the caller to see."""

    async def write(
        self, document: NewDocument, parts: AsyncIterator[EmbeddedChunks]
    ) -> DocumentDone:
        """Write a document in one commit; MeshError when nothing of it is in."""
        ...
