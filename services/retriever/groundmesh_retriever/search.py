"""Search: ask the store, keep what the catalog calls live, fuse, and refill what fell out."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from groundmesh.errors import FailedPrecondition, InvalidArgument, Reason
from groundmesh.identity import Principal
from groundmesh.names import CollectionName
from groundmesh_retriever import analysis
from groundmesh_retriever.catalog import documents as rows
from groundmesh_retriever.catalog.documents import labels_of
from groundmesh_retriever.filters import Filter
from groundmesh_retriever.fusion import fuse
from groundmesh_retriever.model import Chunk, Collection, Document, Splitting
from groundmesh_retriever.parts import ModelRef, Parts, lost_index
from groundmesh_retriever.stores.base import (
    MAX_HITS,
    Ask,
    Freshness,
    Hit,
    IndexMissing,
    Scope,
    Vectors,
)

FUSION_DEPTH = 100
"""How many hits of each kind are fused at least: a chunk ranked low by both can still be best."""
_REFILL_FACTOR = 4


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


@dataclass(frozen=True)
class Found:
    """A chunk that was found."""

    document: Document
    chunk: Chunk
    score: float
    dense_score: float | None
    sparse_score: float | None


@dataclass
class Result:
    """What a search found, how, and how long each store took."""

    mode: Mode
    splitting: Splitting
    found: list[Found] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    store_s: float = 0.0
    catalog_s: float = 0.0


class Searches:
    """Searches one collection at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def search(self, principal: Principal, name: CollectionName, query: Query) -> Result:
        """The best chunks that the principal may read."""
        began = time.perf_counter()
        collection = await self._parts.collection(name)
        result = Result(_mode(collection, query), collection.index.config.splitting)
        result.catalog_s = time.perf_counter() - began
        query.model.check(collection)
        terms = _terms(collection, query, result)
        vector = _vector(collection, query, result.mode)
        scope = Scope(principal.tenant, labels_of(principal), query.filter)
        run = _Run(self._parts, collection, query, scope, vector, terms, result)
        try:
            await run.fill()
        except IndexMissing as error:
            await self._explain_missing(name, error)
        return result

    async def _explain_missing(self, name: CollectionName, error: IndexMissing) -> None:
        await self._parts.collection(name)  # NotFound, if it was deleted meanwhile
        raise lost_index(name) from error


@dataclass
class _Run:
    """One search under way."""

    parts: Parts
    collection: Collection
    query: Query
    scope: Scope
    vector: Vectors
    terms: str
    result: Result
    live: dict[str, Document] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)

    async def fill(self) -> None:
        """Ask for more, until there is enough or the store has no more."""
        depth = self._first_depth()
        while True:
            dense, sparse = await self._ask(depth)
            await self._check(dense + sparse)
            self.result.found = self._rank(dense, sparse)
            asked = [hits for hits, runs in zip((dense, sparse), self._runs(), strict=True) if runs]
            exhausted = all(len(hits) < depth for hits in asked)
            if len(self.result.found) >= self.query.limit or exhausted or depth == MAX_HITS:
                return
            depth = min(depth * _REFILL_FACTOR, MAX_HITS)

    def _first_depth(self) -> int:
        wanted = self.query.limit
        if self.query.max_chunks_per_document:
            wanted *= _REFILL_FACTOR
        if self.result.mode is Mode.HYBRID:
            wanted = max(wanted, FUSION_DEPTH)
        return min(wanted, MAX_HITS)

    def _runs(self) -> tuple[bool, bool]:
        mode = self.result.mode
        return mode is not Mode.SPARSE, mode is not Mode.DENSE and bool(self.terms)

    async def _ask(self, depth: int) -> tuple[list[Hit], list[Hit]]:
        began = time.perf_counter()
        ask = Ask(self.scope, depth, self.query.freshness)
        index, vectors = self.collection.index.id, self.parts.vectors
        runs = self._runs()
        both = await asyncio.gather(
            vectors.search_dense(index, self.vector, ask) if runs[0] else _nothing(),
            vectors.search_sparse(index, self.terms, ask) if runs[1] else _nothing(),
        )
        self.result.store_s += time.perf_counter() - began
        return both

    async def _check(self, hits: list[Hit]) -> None:
        """Learn which of the hits' versions are live."""
        began = time.perf_counter()
        new = {hit.stored.version for hit in hits} - self.checked
        if new:
            async with self.parts.database.reading() as connection:
                self.live |= await rows.of_versions(connection, self.collection, sorted(new))
            self.checked |= new
        self.result.catalog_s += time.perf_counter() - began

    def _rank(self, dense: list[Hit], sparse: list[Hit]) -> list[Found]:
        """The best live chunks, by the mode's score and then by key, so that ties stay put."""
        by_kind = [
            {hit.stored.key: hit for hit in hits if hit.stored.version in self.live}
            for hits in (dense, sparse)
        ]
        if self.result.mode is Mode.HYBRID:
            scores = fuse([list(kind) for kind in by_kind])
        else:
            scores = {key: hit.score for kind in by_kind for key, hit in kind.items()}
        stored = {key: hit.stored for kind in by_kind for key, hit in kind.items()}
        found: list[Found] = []
        of_document: Counter[str] = Counter()
        for key in sorted(scores, key=lambda key: (-scores[key], key)):
            version = stored[key].version
            of_document[version] += 1
            if 0 < self.query.max_chunks_per_document < of_document[version]:
                continue
            each = [hit.score if (hit := kind.get(key)) else None for kind in by_kind]
            found.append(Found(self.live[version], stored[key].chunk, scores[key], *each))
        return found[: self.query.limit]


async def _nothing() -> list[Hit]:
    return []


def _mode(collection: Collection, query: Query) -> Mode:
    full_text = collection.index.full_text
    if query.mode is None:
        return Mode.HYBRID if full_text and query.text else Mode.DENSE
    if query.mode is not Mode.DENSE and not full_text:
        raise FailedPrecondition(
            f"{collection.name} has no full text: its vector store can't do it (Milvus before 2.5);"
            " search with DENSE",
            reason=Reason.FULL_TEXT_UNSUPPORTED,
        )
    return query.mode


def _terms(collection: Collection, query: Query, result: Result) -> str:
    if result.mode is Mode.DENSE:
        return ""
    if not query.text.strip():
        raise InvalidArgument.of_field("query_text", f"must be set for {result.mode.value}")
    terms = analysis.analyzer(collection.index.config.language)(query.text)
    if not terms:
        result.degraded.append("full text: no word of the query is one to search for")
    return analysis.joined(terms)


def _vector(collection: Collection, query: Query, mode: Mode) -> Vectors:
    if mode is Mode.SPARSE:
        return np.empty(0, dtype=np.float32)
    if query.vector is None:
        raise InvalidArgument.of_field("query_vector", f"must be set for {mode.value}")
    dimension = collection.index.config.embedding.dimension
    if query.vector.shape != (dimension,):
        raise InvalidArgument.of_field(
            "query_vector.dimension",
            f"must be {dimension}, not {query.vector.shape[-1]}",
            reason=Reason.DIMENSION_MISMATCH,
        )
    if not np.isfinite(query.vector).all():
        raise InvalidArgument.of_field("query_vector.data", "must be finite numbers")
    if not query.vector.any():
        raise InvalidArgument.of_field("query_vector.data", "must not be zeros only: no direction")
    return query.vector
