"""The two callers of one store: through the retriever, and straight through pymilvus.

Both ask for the same fields of the same chunks, under the same filter.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymilvus import AsyncMilvusClient

from groundmesh.channel import open_channel
from groundmesh.v1.common_pb2 import Vectors
from groundmesh.v1.retriever_pb2 import SearchMode, SearchRequest
from groundmesh.v1.retriever_pb2_grpc import RetrieverServiceStub
from groundmesh_retriever.analysis import analyzer, joined
from groundmesh_retriever.fusion import by_ranks
from groundmesh_retriever.search_run import FUSION_DEPTH
from groundmesh_retriever.stores.base import Scope
from groundmesh_retriever.stores.milvus_filter import keys_expression, scope_expression
from groundmesh_retriever.stores.milvus_schema import DENSE_FIELD, OUTPUT_FIELDS, SPARSE_FIELD

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
    # Milvus Lite hangs up on who pings more often than every 5 minutes.
    patient = {"grpc.keepalive_time_ms": 310_000, "grpc.keepalive_permit_without_calls": 0}
    client = AsyncMilvusClient(place.milvus, grpc_options=patient)
    stack.push_async_callback(client.close)
    scope = scope_expression(Scope("default", labels=None))
    analyze = analyzer("en")

    async def search(field: str, data: Any, limit: int, fields: list[str] | None) -> list[Any]:
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
            search(DENSE_FIELD, question.vector, FUSION_DEPTH, None),
            search(SPARSE_FIELD, joined(analyze(question.text)), FUSION_DEPTH, None),
        )
        scores = by_ranks([hit["key"] for hit in hits] for hits in rankings)
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


async def one_by_one(place: Place, mode: str, questions: Sequence[Question]) -> list[list[float]]:
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
class Caller:
    """A kind of caller."""

    kind: str
    place: Place
    mode: str


def at_once(caller: Caller, shares: Sequence[Sequence[Question]]) -> float:
    """Seconds until as many processes as there are shares have asked all their questions."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(len(shares) + 1)
    processes = [
        context.Process(target=_run, args=(caller, share, barrier), daemon=True) for share in shares
    ]
    for process in processes:
        process.start()
    barrier.wait(START_WITHIN_S)
    began = time.perf_counter()
    barrier.wait(START_WITHIN_S)
    took_s = time.perf_counter() - began
    for process in processes:
        process.join(START_WITHIN_S)
    return took_s


def _run(caller: Caller, questions: Sequence[Question], barrier: Barrier) -> None:
    asyncio.run(_ask_all(caller, iter(questions), barrier))


async def _ask_all(caller: Caller, questions: Iterator[Question], barrier: Barrier) -> None:
    async with AsyncExitStack() as stack:
        ask = await KINDS[caller.kind](caller.place, caller.mode, stack)
        await ask(next(questions))  # connects
        await asyncio.to_thread(barrier.wait, START_WITHIN_S)
        for question in questions:
            await ask(question)
        await asyncio.to_thread(barrier.wait, START_WITHIN_S)
