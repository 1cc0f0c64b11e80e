"""What a search is asked, and what it answers."""

from dataclasses import dataclass, field
from enum import Enum

from groundmesh_retriever.clock import Clock
from groundmesh_retriever.filters import Filter
from groundmesh_retriever.fusion import EVEN, Fusion
from groundmesh_retriever.model import Chunk, DocumentHead, Splitting
from groundmesh_retriever.parts import ModelRef
from groundmesh_retriever.stores.base import Freshness, Scope, Vectors


class Mode(Enum):
    """What hits are ranked by."""

    DENSE = "DENSE"
    SPARSE = "SPARSE"
    HYBRID = "HYBRID"


@dataclass(frozen=True)
class Query:
    """A search, as its caller asks it."""

    mode: Mode | None
    """None: HYBRID where that is possible, else DENSE."""
    text: str
    vector: Vectors | None
    model: ModelRef
    limit: int
    max_chunks_per_document: int
    """0: any number."""
    filter: Filter | None = None
    freshness: Freshness = Freshness.SESSION
    fusion: Fusion = EVEN
    with_vectors: bool = False


@dataclass(frozen=True)
class Found:
    """A chunk that was found."""

    document: DocumentHead
    splitting: Splitting
    chunk: Chunk
    key: str
    score: float
    dense_score: float | None
    sparse_score: float | None
    vector: Vectors | None
    """None unless asked for."""


@dataclass
class Result:
    """What a search found, how, and how long each store took."""

    mode: Mode
    freshness: Freshness
    found: list[Found] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    store: Clock = field(default_factory=Clock)
    catalog: Clock = field(default_factory=Clock)
    waited_s: float | None = None
    """How long the store took to be as fresh as STRONG; None for less than that."""


@dataclass(frozen=True)
class Search:
    """A search under way."""

    query: Query
    scope: Scope
    result: Result
    ghosts: set[str]
    """Versions that earlier tries have found, and the catalog did not know."""
