"""What the retriever asks of a vector store. A store knows chunks and filters, and no catalog."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from groundmesh_retriever.filters import Filter
from groundmesh_retriever.model import Chunk, Scalar

Vectors: TypeAlias = NDArray[np.float32]

MAX_HITS = 16_384
"""The most hits that one search may ask for: Milvus's own limit."""
MAX_TEXT_BYTES = 65_535
"""The longest text of a chunk in UTF-8 bytes: Milvus's longest VARCHAR."""
MAX_DIMENSION = 32_768
"""The most numbers of a vector: Milvus's own limit."""


class IndexMissing(Exception):
    """The store has no index of that name."""


class Freshness(Enum):
    """Which writes a search is sure to see."""

    BOUNDED = "BOUNDED"
    """Those of a few seconds ago; fastest."""
    SESSION = "SESSION"
    """Those that this process has made."""
    STRONG = "STRONG"
    """All that were acknowledged to anybody."""


@dataclass(frozen=True)
class Capabilities:
    """What the server behind a store can do."""

    server_version: str
    full_text: bool


@dataclass(frozen=True)
class IndexSpec:
    """An index to create."""

    name: str
    dimension: int
    full_text: bool


@dataclass(frozen=True)
class Scope:
    """What a search may look at; the store enforces it, inside the search."""

    tenant: str
    labels: frozenset[str] | None
    """The reader labels that are held; None: every document of the tenant may be read."""
    filter: Filter | None = None


@dataclass(frozen=True)
class Ask:
    """What every kind of search is asked beside its query."""

    scope: Scope
    limit: int
    freshness: Freshness = Freshness.SESSION
    with_chunks: bool = True
    """Without, hits are keys and scores alone: cheap, where more are ranked than are given."""


@dataclass(frozen=True)
class ChunkWrite:
    """A chunk to write."""

    key: str
    version: str
    document: str
    tenant: str
    reader_labels: tuple[str, ...]
    metadata: Mapping[str, Scalar]
    chunk: Chunk
    terms: str | None
    """Space-joined, each of ASCII letters and digits only; None in an index without full text."""


@dataclass(frozen=True)
class StoredChunk:
    """A chunk as the store gives it back."""

    key: str
    version: str
    document: str
    chunk: Chunk
    vector: Vectors | None = None
    """None unless asked for."""


@dataclass(frozen=True)
class Hit:
    """A chunk that a search found; a larger score is better."""

    key: str
    score: float
    stored: StoredChunk | None
    """None unless asked for."""


class VectorStore(Protocol):
    """Chunks with their vectors and terms, in indexes.

    Every call is bounded in time; a store that is away raises Unavailable (STORE_UNAVAILABLE), and
    the same object works again once the store is back.
    """

    async def capabilities(self) -> Capabilities:
        """Ask the server what it can do: also the proof that it answers."""
        ...

    async def create_index(self, spec: IndexSpec) -> None:
        """Create an index, ready for writes and searches; one that is there already is fine."""

    async def drop_index(self, index: str) -> None:
        """Drop an index; one that is not there is fine."""

    async def upsert(self, index: str, writes: Sequence[ChunkWrite], vectors: Vectors) -> None:
        """Write chunks, row i of ``vectors`` for write i; a key that is there is replaced."""

    async def delete(self, index: str, keys: Sequence[str]) -> None:
        """Delete chunks by key; keys that are not there are fine."""

    async def get(
        self,
        index: str,
        keys: Sequence[str],
        *,
        freshness: Freshness = Freshness.STRONG,
        with_vectors: bool = False,
    ) -> list[StoredChunk]:
        """The chunks of these keys that are there, in any order."""
        ...

    async def count(self, index: str) -> int:
        """How many chunks an index holds, strongly consistent."""
        ...

    async def search_dense(self, index: str, vector: Vectors, ask: Ask) -> list[Hit]:
        """The chunks nearest to a vector, best first, scored by cosine."""
        ...

    async def search_sparse(self, index: str, terms: str, ask: Ask) -> list[Hit]:
        """The chunks of an index with full text that match terms best, scored by BM25."""
        ...

    async def close(self) -> None:
        """Free the connection; callable twice."""
