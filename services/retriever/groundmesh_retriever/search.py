"""Search: over one collection or several, for what the principal may read."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from groundmesh.errors import Aborted, FailedPrecondition, InvalidArgument, Reason
from groundmesh.identity import Principal
from groundmesh.names import CollectionName
from groundmesh_retriever.catalog import collections as rows
from groundmesh_retriever.catalog.documents import labels_of
from groundmesh_retriever.fusion import RRF_K
from groundmesh_retriever.known_collections import KnownCollections
from groundmesh_retriever.model import Collection
from groundmesh_retriever.parts import Parts, lost_index
from groundmesh_retriever.query import Found, Mode, Query, Result, Search
from groundmesh_retriever.search_run import IndexLost, Ranked, SearchRun
from groundmesh_retriever.sight import Outdated, TooEarly
from groundmesh_retriever.stores.base import Freshness, Scope
from groundmesh_retriever.together import together

MAX_COLLECTIONS = 100
"""The most collections of one search."""
_AT_ONCE = 8
"""How many collections of one search are asked at the same time."""
_TRIES_BESIDE_WRITERS = 5
"""How often a search that a replacement has overtaken is made again before it holds them up."""


class Searches:
    """Searches of every tenant; callers have checked whose collections they name."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known = KnownCollections(parts.database)

    async def search(
        self, principal: Principal, names: Sequence[CollectionName], query: Query
    ) -> Result:
        """The best chunks that the principal may read."""
        scope, ghosts = Scope(principal.tenant, labels_of(principal), query.filter), set[str]()
        for _ in range(_TRIES_BESIDE_WRITERS):
            collections = await self._known.get(names)
            try:
                return await self._attempt(collections, query, scope, ghosts)
            except Outdated:
                await self._known.renew(collections)
            except TooEarly:
                query = replace(query, freshness=Freshness.STRONG)
            except IndexLost as lost:
                if not await self._known.renew(collections):
                    raise lost_index(lost.collection) from lost
            except (InvalidArgument, FailedPrecondition):
                if not await self._known.renew(collections):
                    raise
        return await self._attempt_alone(names, query, scope, ghosts)

    async def _attempt_alone(
        self, names: Sequence[CollectionName], query: Query, scope: Scope, ghosts: set[str]
    ) -> Result:
        """Search while nothing can be committed in the collections."""
        async with self._parts.database.writing() as connection:
            for collection in sorted(await self._known.get(names), key=lambda each: each.uid):
                await rows.lock(connection, collection.uid)
            await self._known.renew(await self._known.get(names))
            collections = await self._known.get(names)
            query = replace(query, freshness=Freshness.STRONG)
            try:
                return await self._attempt(collections, query, scope, ghosts)
            except Outdated as outdated:
                raise Aborted("a collection was just deleted or swept; search again") from outdated

    async def _attempt(
        self, collections: Sequence[Collection], query: Query, scope: Scope, ghosts: set[str]
    ) -> Result:
        """Search the collections as they are known; Outdated, if they are so no longer."""
        _check_one_model(collections)
        query.model.check(collections[0])
        result = Result(_mode(collections, query), query.freshness)
        search = Search(query, scope, result, ghosts)
        runs = [SearchRun(self._parts, each, search) for each in collections]
        if len(runs) == 1:
            ranked = [(runs[0], each) for each in await runs[0].rank(whole=True)]
        else:
            ranked = _merged(query, runs, await _all_ranked(runs))
        result.found = await _completed(ranked)
        result.degraded = list(dict.fromkeys(result.degraded))
        return result


_OfRun = tuple[SearchRun, Ranked]


async def _all_ranked(runs: Sequence[SearchRun]) -> list[list[Ranked]]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def rank(run: SearchRun) -> list[Ranked]:
        async with slots:
            return await run.rank(whole=False)

    return await together([rank(run) for run in runs])


def _merged(
    query: Query, runs: Sequence[SearchRun], rankings: Sequence[Sequence[Ranked]]
) -> list[_OfRun]:
    """By rank: scores of two collections can't be compared, but for the cosines of one model.

    Those decide between chunks of one rank; then BM25 does, so that the order is always the same.
    """
    merged = [
        (run, replace(each, score=1 / (RRF_K + rank)))
        for run, ranking in zip(runs, rankings, strict=True)
        for rank, each in enumerate(ranking, start=1)
    ]
    return sorted(merged, key=_best_first)[: query.limit]


def _best_first(item: _OfRun) -> tuple[float, float, float, str]:
    ranked = item[1]
    cosine = -2.0 if ranked.dense_score is None else ranked.dense_score
    return -ranked.score, -cosine, -(ranked.sparse_score or 0.0), ranked.key


async def _completed(ranked: Sequence[_OfRun]) -> list[Found]:
    """The chunks themselves, each asked of its own collection where it is not here yet."""
    of_run: dict[int, tuple[SearchRun, list[Ranked]]] = {}
    for run, each in ranked:
        of_run.setdefault(id(run), (run, []))[1].append(each)
    found = {
        each.key: each for run, wanted in of_run.values() for each in await run.complete(wanted)
    }
    return [found[each.key] for _, each in ranked]


def _check_one_model(collections: Sequence[Collection]) -> None:
    """Scores and vectors of two models don't mix."""
    first = collections[0].index.config.embedding
    others = [
        str(each.name)
        for each in collections
        if (each.index.config.embedding.model, each.index.config.embedding.revision)
        != (first.model, first.revision)
    ]
    if others:
        raise FailedPrecondition(
            f"{', '.join(others)}: not built with {first.model!r} at {first.revision!r}, as"
            f" {collections[0].name} is; search them by themselves",
            reason=Reason.MODEL_MISMATCH,
        )


def _mode(collections: Sequence[Collection], query: Query) -> Mode:
    without = [str(each.name) for each in collections if not each.index.full_text]
    if query.mode is None:
        return Mode.HYBRID if query.text and not without else Mode.DENSE
    if query.mode is not Mode.DENSE and without:
        raise FailedPrecondition(
            f"{', '.join(without)}: no full text, which needs Milvus 2.5 or later;"
            " search with DENSE",
            reason=Reason.FULL_TEXT_UNSUPPORTED,
        )
    return query.mode
