"""The retriever's service of collections: translates messages and delegates to the core."""

from typing import Any

import grpc.aio

from groundmesh.identity import current_principal
from groundmesh.names import CollectionName, TenantName
from groundmesh.server.checks import max_bytes, require_name
from groundmesh.v1 import collection_pb2, collection_pb2_grpc
from groundmesh_retriever.core import Retriever
from groundmesh_retriever.wire.collections import (
    from_reindex,
    from_view,
    new_name,
    to_change,
    to_collection_change,
    to_config,
)
from groundmesh_retriever.wire.common import page_size

_MAX_ID_BYTES = 128

Context = grpc.aio.ServicerContext[Any, Any]


class CollectionServicer(collection_pb2_grpc.CollectionServiceServicer):
    """See ``collection.proto``."""

    def __init__(self, retriever: Retriever) -> None:
        self._collections = retriever.collections
        self._reindexes = retriever.reindexes

    async def CreateCollection(  # noqa: N802 - the contract's name, here and below
        self, request: collection_pb2.CreateCollectionRequest, _context: Context
    ) -> collection_pb2.CreateCollectionResponse:
        """Create an empty collection."""
        name = new_name(request)
        config = to_config(request.collection.index)
        view = await self._collections.create(name, request.collection.description, config)
        return collection_pb2.CreateCollectionResponse(collection=from_view(view))

    async def GetCollection(  # noqa: N802
        self, request: collection_pb2.GetCollectionRequest, _context: Context
    ) -> collection_pb2.GetCollectionResponse:
        """Give one collection."""
        view = await self._collections.get(require_name(request.name, CollectionName, field="name"))
        return collection_pb2.GetCollectionResponse(collection=from_view(view))

    async def ListCollections(  # noqa: N802
        self, request: collection_pb2.ListCollectionsRequest, _context: Context
    ) -> collection_pb2.ListCollectionsResponse:
        """List a tenant's collections."""
        parent = require_name(request.parent, TenantName, field="parent")
        views, token = await self._collections.page(
            parent.tenant, page_size=page_size(request.page_size), page_token=request.page_token
        )
        return collection_pb2.ListCollectionsResponse(
            collections=map(from_view, views), next_page_token=token
        )

    async def UpdateCollection(  # noqa: N802
        self, request: collection_pb2.UpdateCollectionRequest, _context: Context
    ) -> collection_pb2.UpdateCollectionResponse:
        """Change the description or the calibration."""
        name = require_name(request.collection.name, CollectionName, field="collection.name")
        view = await self._collections.change(name, to_collection_change(request))
        return collection_pb2.UpdateCollectionResponse(collection=from_view(view))

    async def DeleteCollection(  # noqa: N802
        self, request: collection_pb2.DeleteCollectionRequest, _context: Context
    ) -> collection_pb2.DeleteCollectionResponse:
        """Delete a collection with all that is in it."""
        await self._collections.delete(require_name(request.name, CollectionName, field="name"))
        return collection_pb2.DeleteCollectionResponse()

    async def BeginReindex(  # noqa: N802
        self, request: collection_pb2.BeginReindexRequest, _context: Context
    ) -> collection_pb2.BeginReindexResponse:
        """Begin a shadow index."""
        name = require_name(request.name, CollectionName, field="name")
        max_bytes(request.request_id, field="request_id", limit=_MAX_ID_BYTES)
        view = await self._reindexes.begin(
            current_principal(), name, to_change(request.index), request_id=request.request_id
        )
        return collection_pb2.BeginReindexResponse(reindex=from_reindex(view))

    async def CommitReindex(  # noqa: N802
        self, request: collection_pb2.CommitReindexRequest, _context: Context
    ) -> collection_pb2.CommitReindexResponse:
        """Swap the indexes."""
        name = require_name(request.name, CollectionName, field="name")
        view = await self._reindexes.commit(current_principal(), name, request.reindex_id)
        return collection_pb2.CommitReindexResponse(collection=from_view(view))

    async def AbandonReindex(  # noqa: N802
        self, request: collection_pb2.AbandonReindexRequest, _context: Context
    ) -> collection_pb2.AbandonReindexResponse:
        """Give the shadow index up."""
        name = require_name(request.name, CollectionName, field="name")
        view = await self._reindexes.abandon(current_principal(), name, request.reindex_id)
        return collection_pb2.AbandonReindexResponse(collection=from_view(view))
