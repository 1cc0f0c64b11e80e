"""Milvus, of any kind and by its address: a server, a cluster, or Milvus Lite's own process."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from pymilvus import MilvusClient

from groundmesh.errors import Reason, Unavailable
from groundmesh_retriever.joining import Joining
from groundmesh_retriever.stores import milvus_schema as layout
from groundmesh_retriever.stores import milvus_search as searches
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
from groundmesh_retriever.stores.milvus_connection import AT_ONCE, MilvusConnection
from groundmesh_retriever.stores.milvus_errors import NotLoaded
from groundmesh_retriever.stores.milvus_filter import keys_expression
from groundmesh_retriever.stores.milvus_settling import Settling

T = TypeVar("T")
_Rows = list[dict[str, Any]]

_FULL_TEXT_SINCE = (2, 5)
_INDEX_TIMEOUT_S = 30.0
_ROWS_A_CALL = 128
"""pymilvus packs them on the event loop, some 0.2 ms each."""
_KEYS_A_CALL = 1_000
_HITS_A_CALL = 2_000
"""Of all searches that are asked in one request."""
_LOADS = 3
"""Seen right after a restart, with many searches at once: Milvus Lite loses the first load."""


class MilvusStore:
    """A ``VectorStore`` in Milvus. One that was away is back with its first answer."""

    def __init__(self, uri: str, *, token: str, timeout_s: float) -> None:
        self._milvus = MilvusConnection(uri, token=token, timeout_s=timeout_s)
        # Milvus Lite does not guard a collection against two writers at once.
        self._writing: WeakValueDictionary[str, Joining[_Rows, None]] = WeakValueDictionary()
        self._asked: WeakValueDictionary[searches.Kind, Joining[bytes, list[Hit]]]
        self._asked = WeakValueDictionary()
        self._loading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._settling: Settling | None = None

    async def capabilities(self) -> Capabilities:
        """The server's version, and whether that has full text."""
        version = await self._milvus.call(lambda: self._milvus.client.get_server_version(**AT_ONCE))
        if _is_lite(version) and self._settling is None:
            self._settling = Settling(self._flush)
        return Capabilities(version, full_text=_has_full_text(version))

    async def create_index(self, spec: IndexSpec) -> None:
        """Create a Milvus collection with its vector indexes, loaded."""
        # pymilvus's asynchronous client asks Milvus Lite for a timestamp here, which that refuses.
        async with self._milvus.bounded(_INDEX_TIMEOUT_S):
            await asyncio.to_thread(_create_collection, self._milvus.address, spec)

    async def drop_index(self, index: str) -> None:
        """Drop a Milvus collection."""
        await self._milvus.call(lambda: self._milvus.client.drop_collection(index, **AT_ONCE))
        if self._settling is not None:
            self._settling.forget(index)

    async def upsert(self, index: str, writes: Sequence[ChunkWrite], vectors: Vectors) -> None:
        """Write chunks in requests of a bounded size, which those of other callers join."""
        writing = self._writing_to(index)
        for first in range(0, len(writes), _ROWS_A_CALL):
            some = writes[first : first + _ROWS_A_CALL]
            rows = [layout.row(write, vectors[first + i]) for i, write in enumerate(some)]
            async with self._milvus.bounded(self._milvus.timeout_s):
                await writing.do(rows, size=len(rows))

    async def delete(self, index: str, keys: Sequence[str]) -> None:
        """Delete by primary key, which needs no search and so misses nothing."""
        for some in _parts(keys):
            async with self._alone(index):
                await self._milvus.client.delete(index, ids=some, **AT_ONCE)

    async def get(
        self,
        index: str,
        keys: Sequence[str],
        *,
        freshness: Freshness = Freshness.STRONG,
        with_vectors: bool = False,
    ) -> list[StoredChunk]:
        """Query by primary key."""
        found: list[StoredChunk] = []
        fields = [*layout.OUTPUT_FIELDS, *([layout.DENSE_FIELD] if with_vectors else [])]
        for some in _parts(keys):
            rows = await self._query(index, keys_expression(some), fields, freshness)
            found.extend(map(layout.stored_chunk, rows))
        return found

    async def count(self, index: str) -> int:
        """Count the rows that are not deleted."""
        rows = await self._query(index, 'key > ""', ["count(*)"], Freshness.STRONG)
        return int(rows[0]["count(*)"])

    async def search_dense(self, index: str, vector: Vectors, ask: Ask) -> list[Hit]:
        """Search the vectors."""
        kind = searches.kind_of(self._home(index), layout.DENSE_FIELD, ask)
        return await self._search(kind, vector.astype("<f4").tobytes())

    async def search_sparse(self, index: str, terms: str, ask: Ask) -> list[Hit]:
        """Search the terms."""
        kind = searches.kind_of(self._home(index), layout.SPARSE_FIELD, ask)
        return await self._search(kind, terms.encode())

    async def close(self) -> None:
        """Close the channels."""
        for writing in list(self._writing.values()):
            await writing.close()
        for asking in list(self._asked.values()):
            await asking.close()
        await self._milvus.close()

    async def _search(self, kind: searches.Kind, query: bytes) -> list[Hit]:
        async def ask() -> list[Hit]:
            if self._settling is None:
                return (await self._ask(kind, [query]))[0]
            # Milvus Lite computes in one thread: twenty searches of one kind, asked at once, cost
            # it little more than two. A server does well by itself with many requests.
            return await self._asking(kind).do(query, size=kind.limit)

        return await self._call_loaded(kind.home.index, ask)

    async def _ask(self, kind: searches.Kind, queries: Sequence[bytes]) -> list[list[Hit]]:
        found = await self._milvus.search(searches.request(kind, queries))
        return searches.hits(kind, found)

    def _asking(self, kind: searches.Kind) -> Joining[bytes, list[Hit]]:
        async def send(queries: list[bytes]) -> list[list[Hit]]:
            return await self._ask(kind, queries)

        known = self._asked.get(kind)
        return known or self._asked.setdefault(kind, Joining(send, most=_HITS_A_CALL))

    def _home(self, index: str) -> searches.Home:
        place = self._milvus.place
        return searches.Home(place.address, place.db_name, index)

    async def _query(
        self, index: str, expression: str, fields: list[str], freshness: Freshness
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self._call_loaded(
            index,
            lambda: self._milvus.call(
                lambda: self._milvus.client.query(
                    index,
                    filter=expression,
                    output_fields=fields,
                    consistency_level=searches.CONSISTENCY[freshness],
                    **AT_ONCE,
                )
            ),
        )
        return rows

    async def _call_loaded(self, index: str, call: Callable[[], Awaitable[T]]) -> T:
        """Milvus Lite forgets at a restart what was loaded; many callers find out at once."""
        reading = nullcontext() if self._settling is None else self._settling.reading(index)
        async with self._milvus.bounded(2 * self._milvus.timeout_s), reading:
            for _ in range(_LOADS):
                with suppress(NotLoaded):
                    return await call()
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
        async with self._milvus.bounded(self._milvus.timeout_s), lock:
            if not somebody_loads:
                await self._milvus.client.load_collection(index, **AT_ONCE)

    async def _flush(self, index: str) -> None:
        async with self._alone(index):
            await self._milvus.client.flush(index, **AT_ONCE)

    @asynccontextmanager
    async def _alone(self, index: str) -> AsyncIterator[None]:
        """A call that changes an index, with no write beside it."""
        async with (
            self._milvus.bounded(self._milvus.timeout_s),
            self._writing_to(index).between_rounds(),
        ):
            yield

    def _writing_to(self, index: str) -> Joining[_Rows, None]:
        async def send(some: list[_Rows]) -> list[Exception | None]:
            rows = [row for rows in some for row in rows]
            await self._milvus.call(lambda: self._milvus.client.upsert(index, rows, **AT_ONCE))
            if self._settling is not None:
                self._settling.wrote(index, len(rows))
            return [None] * len(some)

        return self._writing.setdefault(index, Joining(send, most=_ROWS_A_CALL))


def _create_collection(address: dict[str, Any], spec: IndexSpec) -> None:
    client = MilvusClient(**address, timeout=_INDEX_TIMEOUT_S)
    try:
        if client.has_collection(spec.name, timeout=_INDEX_TIMEOUT_S):
            return
        lite = _is_lite(client.get_server_version(timeout=_INDEX_TIMEOUT_S))
        client.create_collection(
            spec.name,
            schema=layout.schema(spec),
            index_params=layout.index_params(spec, lite=lite),
            consistency_level=searches.CONSISTENCY[Freshness.BOUNDED],
            timeout=_INDEX_TIMEOUT_S,
        )
    finally:
        client.close()


def _parts(keys: Sequence[str]) -> list[list[str]]:
    return [list(keys[i : i + _KEYS_A_CALL]) for i in range(0, len(keys), _KEYS_A_CALL)]


def _has_full_text(version: str) -> bool:
    if _is_lite(version):
        return True  # since 3.0, the first of that name
    numbers = re.search(r"(\d+)\.(\d+)", version)
    return numbers is not None and tuple(map(int, numbers.groups())) >= _FULL_TEXT_SINCE


def _is_lite(version: str) -> bool:
    return version.startswith("milvus_lite")
