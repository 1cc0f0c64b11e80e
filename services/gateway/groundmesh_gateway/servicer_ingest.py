"""``GatewayService.Ingest``: translates messages and delegates to the ingestion."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from groundmesh.errors import InvalidArgument
from groundmesh.server.writing import ResponseWriter
from groundmesh.v1 import gateway_pb2
from groundmesh_gateway.downstreams import Downstreams
from groundmesh_gateway.ingest_embedder import RemoteEmbedder
from groundmesh_gateway.ingest_store import RemoteStore
from groundmesh_gateway.ingest_target import open_target
from groundmesh_gateway.ingest_wire import to_response, to_steps
from groundmesh_gateway.ingestion.engine import IngestEngine

Context = grpc.aio.ServicerContext[Any, Any]


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
        writer = ResponseWriter(context)
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
                emit=lambda event: writer.write(to_response(event)),
            )


async def _begin(requests: AsyncIterator[gateway_pb2.IngestRequest]) -> gateway_pb2.IngestBegin:
    first = await anext(requests, None)
    if first is None or not first.HasField("begin"):
        raise InvalidArgument.of_field("begin", "must come first")
    return first.begin
