"""A search of one collection: ask the store, keep what is live, fuse, refill what fell out."""

import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass

import numpy as np

from groundmesh.errors import InvalidArgument, Reason
from groundmesh.names import CollectionName
from groundmesh_retriever import analysis
from groundmesh_retriever.catalog import live_versions
from groundmesh_retriever.catalog.live_versions import LiveVersion
from groundmesh_retriever.fusion import fuse
from groundmesh_retriever.model import Collection, DocumentHead
from groundmesh_retriever.parts import Parts, version_of
from groundmesh_retriever.query import Found, Mode, Query, Result, Search
from groundmesh_retriever.sight import Outdated, Sight
from groundmesh_retriever.stores.base import (
    MAX_HITS,
    Ask,
    Freshness,
    Hit,
    IndexMissing,
    StoredChunk,
    Vectors,
)
from groundmesh_retriever.together import together

FUSION_DEPTH = 100
"""How many hits of each kind are fused at least: a chunk ranked low by both can still be best."""
_REFILL_FACTOR = 4
_NO_KEY = "-"
_FEW = 256
"""Versions whose rows the catalog finds in a millisecond or two."""


class IndexLost(Exception):
    """The store does not have a collection's index."""

    def __init__(self, collection: CollectionName) -> None:
        super().__init__(str(collection))
        self.collection = collection


@dataclass(frozen=True)
class Ranked:
    """A live chunk in its place."""

    key: str
    document: DocumentHead
    score: float
    dense_score: float | None
    sparse_score: float | None
    stored: StoredChunk | None
    """None: not asked for yet."""


class SearchRun:
    """One collection's part of a search."""

    def __init__(self, parts: Parts, collection: Collection, search: Search) -> None:
        self._parts = parts
        self._collection = collection
        self._query, self._scope, self._result = search.query, search.scope, search.result
        self._terms = _terms(collection, search.query, search.result)
        self._vector = _vector(collection, search.query, search.result.mode)
        self._sight = Sight(collection, search.query.freshness, search.ghosts)
        self._live: dict[str, LiveVersion] = {}

    async def rank(self, *, whole: bool) -> list[Ranked]:
        """The best live chunks, as many as the query may have; asks again for what fell out.

        ``whole``: all of them will be given, so their texts may come along.
        """
        depth = self._first_depth()
        whole = whole and depth <= self._query.limit and not self._query.with_vectors
        while True:
            dense, sparse = await self._ask(depth, whole=whole)
            await self._check([*dense, *sparse])
            ranked = self._rank(dense, sparse)
            asked = [hits for hits, runs in zip((dense, sparse), self._runs(), strict=True) if runs]
            exhausted = all(len(hits) < depth for hits in asked)
            if len(ranked) >= self._query.limit or exhausted or depth == MAX_HITS:
                return ranked
            depth, whole = min(depth * _REFILL_FACTOR, MAX_HITS), False

    async def complete(self, ranked: Sequence[Ranked]) -> list[Found]:
        """The ranked chunks with all that is to be told of them."""
        missing = [each.key for each in ranked if each.stored is None]
        fetched = await self._fetch(missing) if missing else {}
        return [self._found(each, each.stored or fetched[each.key]) for each in ranked]

    async def _fetch(self, keys: list[str]) -> dict[str, StoredChunk]:
        index, query = self._collection.index.id, self._query
        try:
            with self._result.store:
                stored = await self._parts.vectors.get(
                    index, keys, freshness=query.freshness, with_vectors=query.with_vectors
                )
        except IndexMissing as error:
            raise IndexLost(self._collection.name) from error
        if len(stored) < len(keys):
            raise Outdated  # replaced since they were found: their documents have other chunks now
        return {each.key: each for each in stored}

    def _found(self, ranked: Ranked, stored: StoredChunk) -> Found:
        return Found(
            document=ranked.document,
            splitting=self._collection.index.config.splitting,
            chunk=stored.chunk,
            key=ranked.key,
            score=ranked.score,
            dense_score=ranked.dense_score,
            sparse_score=ranked.sparse_score,
            vector=stored.vector,
        )

    def _first_depth(self) -> int:
        wanted = self._query.limit
        if self._query.max_chunks_per_document:
            wanted *= _REFILL_FACTOR
        if self._result.mode is Mode.HYBRID:
            wanted = max(wanted, FUSION_DEPTH)
        return min(wanted, MAX_HITS)

    def _runs(self) -> tuple[bool, bool]:
        mode = self._result.mode
        return mode is not Mode.SPARSE, mode is not Mode.DENSE and bool(self._terms)

    async def _ask(self, depth: int, *, whole: bool) -> tuple[list[Hit], list[Hit]]:
        ask = Ask(self._scope, depth, self._query.freshness, with_chunks=whole)
        index, vectors = self._collection.index.id, self._parts.vectors
        dense, sparse = self._runs()
        calls: list[Coroutine[None, None, list[Hit]]] = []
        if dense:
            calls.append(vectors.search_dense(index, self._vector, ask))
        if sparse:
            calls.append(vectors.search_sparse(index, self._terms, ask))
        if self._query.freshness is Freshness.STRONG:
            calls.append(self._wait())
        try:
            with self._result.store:
                hits = await together(calls)
        except IndexMissing as error:
            raise IndexLost(self._collection.name) from error
        return hits.pop(0) if dense else [], hits.pop(0) if sparse else []

    async def _wait(self) -> list[Hit]:
        """Learn beside the search what its freshness costs: by a look-up that finds nothing."""
        began = time.perf_counter()
        await self._parts.vectors.get(self._collection.index.id, [_NO_KEY])
        took_s = time.perf_counter() - began
        self._result.waited_s = max(took_s, self._result.waited_s or 0.0)
        return []

    async def _check(self, hits: list[Hit]) -> None:
        """Learn which versions count, whatever was known before."""
        versions = {version_of(hit.key) for hit in hits}
        name = self._collection.name
        with self._result.catalog:
            now = await self._parts.database.read(
                lambda connection: live_versions.find(connection, name, sorted(versions)),
                brief=len(versions) <= _FEW,
            )
        self._live = self._sight.of(versions, now)

    def _rank(self, dense: list[Hit], sparse: list[Hit]) -> list[Ranked]:
        """The best live chunks, by the mode's score and then by key, so that ties stay put."""
        by_kind = [
            {hit.key: hit for hit in hits if version_of(hit.key) in self._live}
            for hits in (dense, sparse)
        ]
        of_dense, of_sparse = ({key: hit.score for key, hit in k.items()} for k in by_kind)
        if self._result.mode is Mode.HYBRID:
            scores = fuse(of_dense, of_sparse, self._query.fusion)
        else:
            scores = of_dense | of_sparse
        stored = {key: hit.stored for kind in by_kind for key, hit in kind.items()}
        return [
            Ranked(
                key,
                self._live[version_of(key)].head,
                scores[key],
                of_dense.get(key),
                of_sparse.get(key),
                stored[key],
            )
            for key in self._best(scores)
        ]

    def _best(self, scores: dict[str, float]) -> list[str]:
        """The keys of the best, with no more of one document than the query allows."""
        best = sorted(scores, key=lambda key: (-scores[key], key))
        if most := self._query.max_chunks_per_document:
            of_document: Counter[str] = Counter()
            kept = []
            for key in best:
                of_document[version_of(key)] += 1
                if of_document[version_of(key)] <= most:
                    kept.append(key)
            best = kept
        return best[: self._query.limit]


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
