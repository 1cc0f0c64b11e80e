"""``GatewayService.Ingest``: translates messages and delegates to the ingestion."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from groundmesh.errors import InvalidArgument
from groundmesh.server.call import CallerGone
from groundmesh.v1 import gateway_pb2
from groundmesh_gateway.downstreams import Downstreams
from groundmesh_gateway.ingest_embedder import RemoteEmbedder
from groundmesh_gateway.ingest_store import RemoteStore
from groundmesh_gateway.ingest_target import open_target
from groundmesh_gateway.ingest_wire import to_response, to_steps
from groundmesh_gateway.ingestion.engine import IngestEngine
from groundmesh_gateway.ingestion.model import DocumentDone, Progress

Context = grpc.aio.ServicerContext[Any, Any]

_LAST_WRITE_S = 2.0
"""For a write under way when its stream ends; the client may not be reading."""


class IngestServicer:
    """The role ``ingest``."""

    def __init__(self, engine: IngestEngine, downstreams: Downstreams) -> None:
        """``downstreams`` are the caller's to close."""
        self._engine = engine
        self._downstreams = downstreams

    async def Ingest(  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[gateway_pb2.IngestRequest], context: Context
    ) -> None:
        """Take documents in. It writes by itself: events come from many tasks."""
        target = await open_target(await _begin(request_iterator), self._downstreams)
        options = self._engine.options
        embedder = RemoteEmbedder(
            self._downstreams.embedder, target, timeout_s=options.embed_timeout_s
        )
        store = RemoteStore(
            self._downstreams.retriever,
            target,
            streams=options.write_streams,
            timeout_s=options.write_timeout_s,
        )
        async with embedder, store:
            await self._engine.run(
                to_steps(request_iterator),
                target=target,
                embedder=embedder,
                store=store,
                emit=_Writer(context).emit,
            )


async def _begin(requests: AsyncIterator[gateway_pb2.IngestRequest]) -> gateway_pb2.IngestBegin:
    first = await anext(requests, None)
    if first is None or not first.HasField("begin"):
        raise InvalidArgument.of_field("begin", "must come first")
    return first.begin


class _Writer:
    """Writes one event at a time, and waits while the client reads none."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = asyncio.Lock()

    async def emit(self, event: DocumentDone | Progress) -> None:
        response = to_response(event)
        async with self._turn:
            writing = asyncio.ensure_future(self._context.write(response))
            try:
                await asyncio.shield(writing)
            except grpc.aio.BaseError as broken:
                raise CallerGone from broken
            except asyncio.CancelledError:
                # grpc.aio can send no status after a first write that was given up half way: the
                # client would wait until its deadline.
                await asyncio.wait([writing], timeout=_LAST_WRITE_S)
                if not writing.cancel() and not writing.cancelled():
                    writing.exception()  # seen
                raise
