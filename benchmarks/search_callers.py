"""The two callers of one store: through the retriever, and straight through pymilvus.

Both ask Milvus for the same: the same expression, the same fields, as many hits, as fresh, and
in a hybrid search the same two searches at once, fused the same way, the fields of the best
fetched by their keys. What a caller of pymilvus does not do is to look which versions are live.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pymilvus import AsyncMilvusClient

from groundmesh.channel import open_channel
from groundmesh.v1.common_pb2 import Vectors
from groundmesh.v1.retriever_pb2 import SearchMode, SearchRequest
from groundmesh.v1.retriever_pb2_grpc import RetrieverServiceStub
from groundmesh_retriever.analysis import analyzer, joined
from groundmesh_retriever.fusion import EVEN, fuse
from groundmesh_retriever.search_run import FUSION_DEPTH
from groundmesh_retriever.stores.base import Scope
from groundmesh_retriever.stores.milvus_connection import CHANNEL
from groundmesh_retriever.stores.milvus_filter import keys_expression, scope_expression
from groundmesh_retriever.stores.milvus_schema import (
    DENSE_FIELD,
    KEY_FIELDS,
    OUTPUT_FIELDS,
    SPARSE_FIELD,
)

LIMIT = 10
START_WITHIN_S = 120.0


@dataclass(frozen=True)
class Question:
    """One query, as a vector and in words."""

    vector: NDArray[np.float32]
    text: str


@dataclass(frozen=True)
class Place:
    """Where both callers find the same chunks."""

    retriever: str
    collection: str
    milvus: str
    index: str


Ask = Callable[[Question], Awaitable[int]]
"""Ask one question; how many chunks came."""


async def through_retriever(place: Place, mode: str, stack: AsyncExitStack) -> Ask:
    """One channel to the retriever."""
    channel = await stack.enter_async_context(open_channel(place.retriever))
    stub = RetrieverServiceStub(channel)

    async def ask(question: Question) -> int:
        data = question.vector.astype("<f4").tobytes()
        request = SearchRequest(
            collections=[place.collection],
            mode=SearchMode.Value(f"SEARCH_MODE_{mode}"),
            query_text=question.text,
            query_vector=Vectors(data=data, rows=1, dimension=len(question.vector)),
            limit=LIMIT,
        )
        return len((await stub.Search(request)).chunks)

    return ask


async def through_pymilvus(place: Place, mode: str, stack: AsyncExitStack) -> Ask:
    """One asynchronous client of pymilvus, which knows the terms that the words become."""
    client = AsyncMilvusClient(place.milvus, grpc_options=CHANNEL, dedicated=True)
    stack.push_async_callback(client.close)
    scope = scope_expression(Scope("default", labels=None))
    analyze = analyzer("en")

    async def search(field: str, data: Any, limit: int, fields: list[str]) -> list[Any]:
        [hits] = await client.search(
            place.index,
            data=[data],
            anns_field=field,
            search_params={"metric_type": "BM25" if field == SPARSE_FIELD else "COSINE"},
            filter=scope,
            limit=limit,
            output_fields=fields,
            consistency_level="Session",
        )
        return list(hits)

    async def hybrid(question: Question) -> int:
        rankings = await asyncio.gather(
            search(DENSE_FIELD, question.vector, FUSION_DEPTH, KEY_FIELDS),
            search(SPARSE_FIELD, joined(analyze(question.text)), FUSION_DEPTH, KEY_FIELDS),
        )
        dense, sparse = ({hit["key"]: abs(hit["distance"]) for hit in hits} for hits in rankings)
        scores = fuse(dense, sparse, EVEN)
        best = sorted(scores, key=lambda key: (-scores[key], key))[:LIMIT]
        rows = await client.query(
            place.index, filter=keys_expression(best), output_fields=OUTPUT_FIELDS
        )
        return len(rows)

    async def ask(question: Question) -> int:
        if mode == "HYBRID":
            return await hybrid(question)
        words = mode == "SPARSE"
        data = joined(analyze(question.text)) if words else question.vector
        field = SPARSE_FIELD if words else DENSE_FIELD
        return len([dict(hit["entity"]) for hit in await search(field, data, LIMIT, OUTPUT_FIELDS)])

    return ask


KINDS = {"retriever": through_retriever, "pymilvus": through_pymilvus}


async def in_turns(place: Place, mode: str, questions: Sequence[Question]) -> list[list[float]]:
    """Seconds of each question by each kind of caller, one at a time, in turns."""
    async with AsyncExitStack() as stack:
        asks = [await connect(place, mode, stack) for connect in KINDS.values()]
        taken: list[list[float]] = [[] for _ in asks]
        for number, question in enumerate(questions):
            order = range(len(asks)) if number % 2 else reversed(range(len(asks)))
            for which in order:
                began = time.perf_counter()
                assert await asks[which](question), "nothing was found"  # noqa: S101
                taken[which].append(time.perf_counter() - began)
    return taken


@dataclass(frozen=True)
class Plan:
    """What each process of a crowd asks: in every mode, some questions at each turn."""

    place: Place
    modes: Sequence[str]
    turns: int
    each: int

    def of_turn(self, questions: Sequence[Question], turn: int) -> Sequence[Question]:
        """The questions of one turn; the first question of all only connects."""
        first = 1 + turn * self.each
        return questions[first : first + self.each]


class Crowd:
    """Processes of one kind of caller, which ask all at once whenever it is their turn.

    They are started once, so that no turn pays for the start of a process.
    """

    def __init__(self, kind: str, plan: Plan, shares: Sequence[Sequence[Question]]) -> None:
        """One process for each share, which holds a question to begin with and those of turns."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._barrier = context.Barrier(len(shares) + 1)
        self._processes = [
            context.Process(target=_run, args=(kind, plan, share, self._barrier), daemon=True)
            for share in shares
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def turn(self) -> float:
        """Seconds until all have asked the questions of one turn."""
        self._barrier.wait(START_WITHIN_S)
        began = time.perf_counter()
        self._barrier.wait(START_WITHIN_S)
        return time.perf_counter() - began


def _run(kind: str, plan: Plan, questions: Sequence[Question], barrier: Barrier) -> None:
    asyncio.run(_take_turns(kind, plan, questions, barrier))


async def _take_turns(
    kind: str, plan: Plan, questions: Sequence[Question], barrier: Barrier
) -> None:
    for mode in plan.modes:
        async with AsyncExitStack() as stack:
            ask = await KINDS[kind](plan.place, mode, stack)
            await ask(questions[0])
            for turn in range(plan.turns):
                await asyncio.to_thread(barrier.wait)
                for question in plan.of_turn(questions, turn):
                    await ask(question)
                await asyncio.to_thread(barrier.wait)
