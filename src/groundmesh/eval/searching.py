"""Putting the queries of a data set to a mesh."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from groundmesh.client import Client, Passage, Retrieval, SearchResult
from groundmesh.errors import MeshError
from groundmesh.eval.beir import document_of


@dataclass(frozen=True)
class Searching:
    """How the queries are put."""

    collection: str
    retrieval: Retrieval
    concurrency: int
    """Searches at once; the times are those under this load."""
    timeout_s: float


@dataclass
class Searched:
    """What came of it, by query."""

    rankings: dict[str, Sequence[str]] = field(default_factory=dict)
    """Documents, best first."""
    times_ms: list[float] = field(default_factory=list)
    degraded: set[str] = field(default_factory=set)
    """What did not run although it was asked for, in plain words."""


def by_best_chunk(passages: Iterable[Passage]) -> list[str]:
    """The documents that passages are of, each at the place of its best one."""
    return list(dict.fromkeys(document_of(passage.uri) for passage in passages))


async def search_all(
    mesh: Client,
    queries: Mapping[str, str],
    how: Searching,
    *,
    on_done: Callable[[], object] = lambda: None,
) -> Searched:
    """Search for every query; the first failure ends it."""
    searched = Searched()
    # One before the clock starts: it opens connections, and makes a store load what it has.
    for text in list(queries.values())[:1]:
        await _search(mesh, text, how)
    waiting = iter(queries.items())

    async def work() -> None:
        for query, text in waiting:
            began = time.perf_counter()
            result = await _search(mesh, text, how)
            searched.times_ms.append((time.perf_counter() - began) * 1000)
            searched.rankings[query] = by_best_chunk(result.passages)
            searched.degraded.update(result.degraded)
            on_done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(how.concurrency):
                group.create_task(work())
    except* MeshError as failed:
        first = failed.exceptions[0]  # all of them say the same, as a rule
        raise first from None
    return searched


async def _search(mesh: Client, text: str, how: Searching) -> SearchResult:
    return await mesh.search(
        text, collection=how.collection, retrieval=how.retrieval, timeout_s=how.timeout_s
    )
