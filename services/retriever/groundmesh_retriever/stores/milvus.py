"""Milvus, of any kind and by its address: a server, a cluster, or Milvus Lite's own process."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import grpc
from pymilvus import AsyncMilvusClient, MilvusClient, MilvusException

from groundmesh import deadline
from groundmesh.errors import DeadlineExceeded, Reason, Unavailable
from groundmesh_retriever.joining import Joining
from groundmesh_retriever.stores import milvus_schema as layout
from groundmesh_retriever.stores.base import (
    Ask,
    Capabilities,
    ChunkWrite,
    Freshness,
    Hit,
    IndexSpec,
    StoredChunk,
    Vectors,
)
from groundmesh_retriever.stores.milvus_errors import NotLoaded, away, translated
from groundmesh_retriever.stores.milvus_filter import keys_expression, scope_expression

T = TypeVar("T")
_Rows = list[dict[str, Any]]

_FULL_TEXT_SINCE = (2, 5)
_INDEX_TIMEOUT_S = 30.0
_ROWS_A_CALL = 128
"""pymilvus packs them on the event loop, some 0.2 ms each."""
_KEYS_A_CALL = 1_000
_LOADS = 3
"""Seen right after a restart, with many searches at once: Milvus Lite loses the first load."""
_CONSISTENCY = {
    Freshness.BOUNDED: "Bounded",
    Freshness.SESSION: "Session",
    Freshness.STRONG: "Strong",
}
# gRPC would wait for up to two minutes before it looks again whether a server is back, and share
# that waiting between channels.
_CHANNEL = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.use_local_subchannel_pool": 1,
    # pymilvus pings every 10 s. Milvus Lite takes that for an attack ("too_many_pings") and hangs
    # up; it bears one ping in 5 minutes.
    "grpc.keepalive_time_ms": 310_000,
    "grpc.keepalive_permit_without_calls": 0,
}
# pymilvus tries a failed call 75 times; who waits for ours would rather know at once. It opens a
# new channel when the old one fails, and fails when it can't; the one retry is for the new channel.
_AT_ONCE = {"retry_times": 1, "retry_on_rate_limit": False}


class MilvusStore:
    """A ``VectorStore`` over pymilvus's asynchronous client.

    Every call takes at most ``timeout_s``, and never runs past the deadline of the call that it
    serves. A Milvus that was away is back with its first answer.
    """

    def __init__(self, uri: str, *, token: str, timeout_s: float) -> None:
        self._address = {"uri": uri, "token": token, "grpc_options": _CHANNEL, "dedicated": True}
        self._timeout_s = timeout_s
        self._client = AsyncMilvusClient(**self._address, timeout=timeout_s)
        # Milvus Lite does not guard a collection against two writers at once.
        self._writing: WeakValueDictionary[str, Joining[_Rows, None]] = WeakValueDictionary()
        self._loading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # It logs every failed call with a traceback; what a failure means is told by our errors.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

    async def capabilities(self) -> Capabilities:
        """The server's version, and whether that has full text."""
        version = await self._call(lambda: self._client.get_server_version(**_AT_ONCE))
        return Capabilities(version, full_text=_has_full_text(version))

    async def create_index(self, spec: IndexSpec) -> None:
        """Create a Milvus collection with its vector indexes, loaded."""
        # pymilvus's asynchronous client asks Milvus Lite for a timestamp here, which that refuses.
        async with self._errors_translated(_INDEX_TIMEOUT_S):
            await asyncio.to_thread(_create_collection, self._address, spec)

    async def drop_index(self, index: str) -> None:
        """Drop a Milvus collection."""
        await self._call(lambda: self._client.drop_collection(index, **_AT_ONCE))

    async def upsert(self, index: str, writes: Sequence[ChunkWrite], vectors: Vectors) -> None:
        """Write chunks in requests of a bounded size, which those of other callers join."""
        writing = self._writing_to(index)
        for first in range(0, len(writes), _ROWS_A_CALL):
            some = writes[first : first + _ROWS_A_CALL]
            rows = [layout.row(write, vectors[first + i]) for i, write in enumerate(some)]
            async with self._errors_translated(self._timeout_s):
                await writing.do(rows, size=len(rows))

    async def delete(self, index: str, keys: Sequence[str]) -> None:
        """Delete by primary key, which needs no search and so misses nothing."""
        for some in _parts(keys):
            async with self._errors_translated(self._timeout_s), self._writing_to(index).lock:
                await self._client.delete(index, ids=some, **_AT_ONCE)

    async def get(self, index: str, keys: Sequence[str]) -> list[StoredChunk]:
        """Query by primary key."""
        found: list[StoredChunk] = []
        for some in _parts(keys):
            rows = await self._query(index, keys_expression(some), layout.OUTPUT_FIELDS)
            found.extend(map(layout.stored_chunk, rows))
        return found

    async def count(self, index: str) -> int:
        """Count the rows that are not deleted."""
        rows = await self._query(index, 'key > ""', ["count(*)"])
        return int(rows[0]["count(*)"])

    async def search_dense(self, index: str, vector: Vectors, ask: Ask) -> list[Hit]:
        """Search the vectors; Milvus's COSINE is larger for what is nearer."""
        found = await self._search(index, (layout.DENSE_FIELD, "COSINE"), vector, ask)
        return [Hit(stored, score) for stored, score in found]

    async def search_sparse(self, index: str, terms: str, ask: Ask) -> list[Hit]:
        """Search the terms. Milvus gives BM25 scores, Milvus Lite their negatives."""
        found = await self._search(index, (layout.SPARSE_FIELD, "BM25"), terms, ask)
        return [Hit(stored, abs(score)) for stored, score in found]

    async def close(self) -> None:
        """Close the channel."""
        for writing in list(self._writing.values()):
            await writing.close()
        await self._client.close()

    async def _search(
        self,
        index: str,
        field: tuple[str, str],
        query: Any,
        ask: Ask,
    ) -> list[tuple[StoredChunk, float]]:
        [hits] = await self._call_loaded(
            index,
            lambda: self._client.search(
                index,
                data=[query],
                anns_field=field[0],
                search_params={"metric_type": field[1]},
                filter=scope_expression(ask.scope),
                limit=ask.limit,
                output_fields=layout.OUTPUT_FIELDS,
                consistency_level=_CONSISTENCY[ask.freshness],
                **_AT_ONCE,
            ),
        )
        return [(layout.stored_chunk(hit["entity"]), hit["distance"]) for hit in hits]

    async def _query(self, index: str, expression: str, fields: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self._call_loaded(
            index,
            lambda: self._client.query(
                index,
                filter=expression,
                output_fields=fields,
                consistency_level=_CONSISTENCY[Freshness.STRONG],
                **_AT_ONCE,
            ),
        )
        return rows

    async def _call_loaded(self, index: str, call: Callable[[], Awaitable[T]]) -> T:
        """Milvus Lite forgets at a restart what was loaded; many callers find out at once."""
        for _ in range(_LOADS):
            with suppress(NotLoaded):
                return await self._call(call)
            await self._load(index)
        raise Unavailable(
            "the vector store is still loading the collection",
            reason=Reason.STORE_UNAVAILABLE,
            retry_after_s=1.0,
        )

    async def _load(self, index: str) -> None:
        """Load an index, once for all who wait for it."""
        lock = self._loading.setdefault(index, asyncio.Lock())
        somebody_loads = lock.locked()
        async with self._errors_translated(self._timeout_s), lock:
            if not somebody_loads:
                await self._client.load_collection(index, **_AT_ONCE)

    def _writing_to(self, index: str) -> Joining[_Rows, None]:
        async def send(some: list[_Rows]) -> list[Exception | None]:
            rows = [row for rows in some for row in rows]
            async with self._errors_translated(self._timeout_s):
                await self._client.upsert(index, rows, **_AT_ONCE)
            return [None] * len(some)

        return self._writing.setdefault(index, Joining(send, most=_ROWS_A_CALL))

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        async with self._errors_translated(self._timeout_s):
            return await call()

    @asynccontextmanager
    async def _errors_translated(self, timeout_s: float) -> AsyncIterator[None]:
        left = deadline.downstream_timeout()
        try:
            async with asyncio.timeout(timeout_s if left is None else min(timeout_s, left)):
                yield
        except MilvusException as error:
            raise translated(error) from error
        except TimeoutError as error:
            if left is not None and left < timeout_s:
                raise DeadlineExceeded("the vector store took longer than the call may") from error
            raise away(error) from error
        except (grpc.RpcError, OSError) as error:
            raise away(error) from error


def _create_collection(address: dict[str, Any], spec: IndexSpec) -> None:
    client = MilvusClient(**address, timeout=_INDEX_TIMEOUT_S)
    try:
        if client.has_collection(spec.name, timeout=_INDEX_TIMEOUT_S):
            return
        client.create_collection(
            spec.name,
            schema=layout.schema(spec),
            index_params=layout.index_params(spec),
            consistency_level=_CONSISTENCY[Freshness.BOUNDED],
            timeout=_INDEX_TIMEOUT_S,
        )
    finally:
        client.close()


def _parts(keys: Sequence[str]) -> list[list[str]]:
    return [list(keys[i : i + _KEYS_A_CALL]) for i in range(0, len(keys), _KEYS_A_CALL)]


def _has_full_text(version: str) -> bool:
    if version.startswith("milvus_lite"):
        return True  # since 3.0, the first of that name
    numbers = re.search(r"(\d+)\.(\d+)", version)
    return numbers is not None and tuple(map(int, numbers.groups())) >= _FULL_TEXT_SINCE
