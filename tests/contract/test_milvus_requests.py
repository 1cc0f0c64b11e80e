"""A search is asked as pymilvus itself would ask it, bit for bit."""

import asyncio
from collections.abc import AsyncIterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import pytest
from pymilvus import AsyncMilvusClient
from pymilvus.client.ts_utils import update_collection_ts
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

from groundmesh_retriever.stores import milvus_schema, milvus_search
from groundmesh_retriever.stores.base import Ask, Freshness, Scope
from groundmesh_retriever.stores.milvus_connection import CHANNEL
from groundmesh_retriever.stores.milvus_filter import scope_expression
from groundmesh_retriever.stores.milvus_search import Home

SCOPE = Scope("acme", frozenset({"", "hr"}))
VECTOR = np.linspace(-1, 1, 8, dtype=np.float32)


class Listening(milvus_pb2_grpc.MilvusServiceServicer):  # type: ignore[misc]
    """A server that finds nothing, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[milvus_pb2.SearchRequest] = []

    def Connect(self, _request: Any, _context: Any) -> milvus_pb2.ConnectResponse:
        return milvus_pb2.ConnectResponse(identifier=1)

    def Search(self, request: Any, _context: Any) -> milvus_pb2.SearchResults:
        self.asked.append(request)
        return milvus_pb2.SearchResults()


@pytest.fixture
async def asked() -> AsyncIterator[tuple[Home, AsyncMilvusClient, Listening]]:
    listening = Listening()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(listening, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    client = AsyncMilvusClient(f"http://{address}", grpc_options=CHANNEL, dedicated=True)
    yield Home(address, "", "gm_1"), client, listening
    await client.close()
    await asyncio.to_thread(server.stop(None).wait)


@pytest.mark.parametrize("freshness", Freshness)
@pytest.mark.parametrize("with_chunks", [True, False])
@pytest.mark.parametrize("field", [milvus_schema.DENSE_FIELD, milvus_schema.SPARSE_FIELD])
@pytest.mark.parametrize("wrote", [False, True])
async def test_the_request_is_pymilvus_own(
    asked: tuple[Home, AsyncMilvusClient, Listening],
    *,
    freshness: Freshness,
    with_chunks: bool,
    field: str,
    wrote: bool,
) -> None:
    home, client, listening = asked
    if wrote:  # so SESSION has a moment that it must see
        update_collection_ts(home.index, 4_711, home.address, home.database)
    dense = field == milvus_schema.DENSE_FIELD
    await client.search(
        home.index,
        data=[VECTOR, VECTOR * 2] if dense else ["cat dog", "fish"],
        anns_field=field,
        search_params={"metric_type": "COSINE" if dense else "BM25"},
        filter=scope_expression(SCOPE),
        limit=7,
        output_fields=milvus_schema.OUTPUT_FIELDS if with_chunks else milvus_schema.KEY_FIELDS,
        consistency_level=milvus_search.CONSISTENCY[freshness],
    )
    kind = milvus_search.kind_of(home, field, Ask(SCOPE, 7, freshness, with_chunks))
    queries = [VECTOR.tobytes(), (VECTOR * 2).tobytes()] if dense else [b"cat dog", b"fish"]
    assert milvus_search.request(kind, queries) == listening.asked[0]
