"""``Ingest`` and ``RunReindex``: translates messages and delegates to the ingestion."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from groundmesh.errors import InvalidArgument
from groundmesh.names import CollectionName
from groundmesh.server.checks import require_name
from groundmesh.server.writing import ResponseWriter
from groundmesh.v1 import gateway_pb2
from groundmesh_gateway.downstreams import Downstreams
from groundmesh_gateway.ingest_embedder import Embedders
from groundmesh_gateway.ingest_store import RemoteStore
from groundmesh_gateway.ingest_target import open_plan, reread_plan, shadow_target
from groundmesh_gateway.ingest_wire import to_response, to_steps
from groundmesh_gateway.ingestion.engine import IngestEngine
from groundmesh_gateway.plans import Plans
from groundmesh_gateway.reindex_shadow import RemoteShadow
from groundmesh_gateway.reindex_wire import to_reindex_response, to_size
from groundmesh_gateway.write_streams import WriteStreams

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
        behind = self._downstreams
        plan = await open_plan(await _begin(request_iterator), behind)
        target, options, writer = plan.serving, self._engine.options, ResponseWriter(context)
        async with (
            Embedders(behind.embedder, timeout_s=options.embed_timeout_s) as embedders,
            WriteStreams(
                behind.retriever, streams=options.write_streams, timeout_s=options.write_timeout_s
            ) as streams,
        ):
            store = RemoteStore(
                behind.retriever,
                streams,
                Plans(plan, lambda: reread_plan(target.collection, behind)),
                maker=lambda other: self._engine.chunk_maker(other, embedders.of(other).embed),
                timeout_s=options.write_timeout_s,
            )
            await self._engine.run(
                to_steps(request_iterator),
                target=target,
                embedder=embedders.of(target),
                store=store,
                emit=lambda event: writer.write(to_response(event)),
            )

    async def RunReindex(  # noqa: N802
        self, request: gateway_pb2.RunReindexRequest, context: Context
    ) -> None:
        """Fill the shadow index of a reindex. It writes by itself, too."""
        name = require_name(request.name, CollectionName, field="name")
        behind, options, writer = self._downstreams, self._engine.options, ResponseWriter(context)
        target, collection = await shadow_target(name, request.reindex_id, behind)
        async with (
            Embedders(behind.embedder, timeout_s=options.embed_timeout_s) as embedders,
            WriteStreams(
                behind.retriever, streams=options.write_streams, timeout_s=options.write_timeout_s
            ) as streams,
        ):
            await self._engine.rebuild(
                RemoteShadow(behind.retriever, streams, target, timeout_s=options.write_timeout_s),
                target=target,
                embedder=embedders.of(target),
                size=to_size(collection),
                emit=lambda event: writer.write(to_reindex_response(event)),
            )


async def _begin(requests: AsyncIterator[gateway_pb2.IngestRequest]) -> gateway_pb2.IngestBegin:
    first = await anext(requests, None)
    if first is None or not first.HasField("begin"):
        raise InvalidArgument.of_field("begin", "must come first")
    return first.begin
