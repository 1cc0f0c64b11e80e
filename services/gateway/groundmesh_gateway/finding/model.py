"""What goes through the finding of passages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from groundmesh.prompting import Passage

V = TypeVar("V")

Vector = Sequence[float]


@dataclass(frozen=True)
class Embedded(Generic[V]):
    """The query's vector, as the search takes it."""

    vector: V
    truncated: bool


@dataclass(frozen=True)
class FoundPassage:
    """A piece of a document that was found: a chunk, or several that are neighbours.

    Offsets are UTF-8 bytes into the document's text. Scores of several chunks are those of the
    best one, ``cosine`` is the largest.
    """

    passage: Passage
    document: str
    ordinal: int
    """Place in the order of the document's chunks, of several that of the first."""
    start_byte: int
    end_byte: int
    score: float
    """What it is ranked by."""
    cosine: float | None
    """Its nearness to the query; None when the dense search did not find it."""
    chunks: tuple[int, ...]
    """Which chunks of the search's answer it is made of, the best first."""
    context: str = ""
    """What its chunk was embedded with, and is reranked with: title and headings."""
    rerank_score: float | None = None
    """The cross-encoder's; None when it was not asked."""


@dataclass(frozen=True)
class Found:
    """What a search found, best first, and what of it did not run, in plain words."""

    passages: Sequence[FoundPassage]
    degraded: tuple[str, ...] = ()
    vectors: Sequence[Vector] | None = None
    """Of each passage that the search gave; None unless it was asked for them, and has them."""
    nearest: Mapping[str, float] = field(default_factory=dict)
    """By collection, the cosine of the query and the nearest chunk that the search gave, whether it
    is among the passages or not; empty after a search by words alone."""


@dataclass(frozen=True)
class Wish:
    """What is wanted of passages, beside that they suit the query."""

    limit: int
    rerank: bool = False
    """Ordered by the cross-encoder."""
    relevance_weight: float | None = None
    """Unlike each other: what their nearness to the query weighs, 0 to 1; None: that alone."""
    merge_neighbors: bool = False
    """Chunks that are neighbours as one passage."""


@dataclass(frozen=True)
class FindOptions:
    """How many chunks are looked at to give a few, and how long that may take."""

    candidates_per_result: int = 4
    """Chunks to look at for each that is wanted,"""
    least_candidates: int = 50
    """but so many at least"""
    most_candidates: int = 200
    """and so many at most."""
    wait_share: float = 0.5
    """Of the time that a call has left, what it waits at most for a part it can do without."""

    def depth(self, wish: Wish) -> int:
        """How many chunks to search for."""
        if not (wish.rerank or wish.relevance_weight is not None or wish.merge_neighbors):
            return wish.limit
        wanted = max(wish.limit * self.candidates_per_result, self.least_candidates)
        return max(wish.limit, min(wanted, self.most_candidates))
