"""The collections of a mesh."""

from collections.abc import AsyncGenerator, AsyncIterator

from google.protobuf.field_mask_pb2 import FieldMask

from groundmesh.client import from_wire, to_wire
from groundmesh.client.connection import Connection
from groundmesh.client.values import (
    Calibration,
    Collection,
    IndexSettings,
    Reindex,
    ReindexEvent,
)
from groundmesh.v1 import collection_pb2, gateway_pb2
from groundmesh.v1.collection_pb2_grpc import CollectionServiceStub
from groundmesh.v1.gateway_pb2_grpc import GatewayServiceStub

PAGE_SIZE = 200
REINDEX_S = 7 * 24 * 3600.0
"""How long a run of a reindex may take: it ends when its caller leaves."""


class Collections:
    """Create, read, change, reindex and delete collections; ``client.collections``."""

    def __init__(self, connection: Connection) -> None:
        """Made by the client."""
        self._connection = connection
        self._stub = CollectionServiceStub(connection.channel)

    async def create(
        self,
        collection: str,
        *,
        description: str = "",
        index: IndexSettings | None = None,
        timeout_s: float | None = None,
    ) -> Collection:
        """Create an empty collection; AlreadyExists when there is one of that name."""
        parent, _, collection_id = self._connection.collection(collection).rpartition("/")
        wire = collection_pb2.Collection(description=description)
        if index is not None:
            wire.index.CopyFrom(to_wire.index_config(index))
        request = collection_pb2.CreateCollectionRequest(
            parent=parent.removesuffix("/collections"),
            collection_id=collection_id,
            collection=wire,
        )
        call = self._stub.CreateCollection(request, timeout=self._connection.write_s(timeout_s))
        response = await self._connection.of(call)
        return from_wire.collection(response.collection)

    async def get(self, collection: str, *, timeout_s: float | None = None) -> Collection:
        """One collection; NotFound when there is none."""
        name = self._connection.collection(collection)
        request = collection_pb2.GetCollectionRequest(name=name)
        call = self._stub.GetCollection(request, timeout=self._connection.read_s(timeout_s))
        response = await self._connection.of(call)
        return from_wire.collection(response.collection)

    async def list(self, *, timeout_s: float | None = None) -> AsyncIterator[Collection]:
        """All collections of the tenant by name; the time is that of each page."""
        request = collection_pb2.ListCollectionsRequest(
            parent=f"tenants/{self._connection.tenant}", page_size=PAGE_SIZE
        )
        while True:
            call = self._stub.ListCollections(request, timeout=self._connection.read_s(timeout_s))
            response = await self._connection.of(call)
            for wire in response.collections:
                yield from_wire.collection(wire)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def update(
        self, collection: str, *, description: str, timeout_s: float | None = None
    ) -> Collection:
        """Change the description of a collection."""
        name = self._connection.collection(collection)
        request = collection_pb2.UpdateCollectionRequest(
            collection=collection_pb2.Collection(name=name, description=description),
            update_mask=FieldMask(paths=["description"]),
        )
        call = self._stub.UpdateCollection(request, timeout=self._connection.write_s(timeout_s))
        response = await self._connection.of(call)
        return from_wire.collection(response.collection)

    async def calibrate(
        self,
        collection: str,
        calibration: Calibration | None,
        *,
        timeout_s: float | None = None,
    ) -> Collection:
        """Set from which evidence on questions are answered; None: as the gateway is set."""
        name = self._connection.collection(collection)
        wire = None if calibration is None else to_wire.calibration(calibration)
        request = collection_pb2.UpdateCollectionRequest(
            collection=collection_pb2.Collection(name=name, calibration=wire),
            update_mask=FieldMask(paths=["calibration"]),
        )
        call = self._stub.UpdateCollection(request, timeout=self._connection.write_s(timeout_s))
        response = await self._connection.of(call)
        return from_wire.collection(response.collection)

    async def delete(self, collection: str, *, timeout_s: float | None = None) -> None:
        """Delete a collection with all its documents; NotFound when there is none."""
        name = self._connection.collection(collection)
        request = collection_pb2.DeleteCollectionRequest(name=name)
        call = self._stub.DeleteCollection(request, timeout=self._connection.write_s(timeout_s))
        await self._connection.of(call)

    async def begin_reindex(
        self,
        collection: str,
        *,
        index: IndexSettings,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> Reindex:
        """Begin an index beside the one that serves; what ``index`` leaves out stays as it is.

        From now on writes and deletes go to both. The same ``request_id`` again begins nothing new.
        """
        request = collection_pb2.BeginReindexRequest(
            name=self._connection.collection(collection),
            index=to_wire.index_config(index),
            request_id=request_id,
        )
        call = self._stub.BeginReindex(request, timeout=self._connection.write_s(timeout_s))
        response = await self._connection.of(call)
        return from_wire.reindex(response.reindex)

    async def run_reindex(
        self, collection: str, reindex_id: str, *, timeout_s: float = REINDEX_S
    ) -> AsyncGenerator[ReindexEvent, None]:
        """Fill the new index from the kept texts; called again, it goes on where it was."""
        request = gateway_pb2.RunReindexRequest(
            name=self._connection.collection(collection), reindex_id=reindex_id
        )
        call = GatewayServiceStub(self._connection.channel).RunReindex(request, timeout=timeout_s)
        try:
            with self._connection.translated():
                async for response in call:
                    event = from_wire.reindex_event(response)
                    if event is not None:
                        yield event
        finally:
            call.cancel()

    async def commit_reindex(
        self, collection: str, reindex_id: str, *, timeout_s: float | None = None
    ) -> Collection:
        """Make the new index the one that serves; FailedPrecondition while documents lack."""
        request = collection_pb2.CommitReindexRequest(
            name=self._connection.collection(collection), reindex_id=reindex_id
        )
        call = self._stub.CommitReindex(request, timeout=self._connection.write_s(timeout_s))
        response = await self._connection.of(call)
        return from_wire.collection(response.collection)

    async def abandon_reindex(
        self, collection: str, reindex_id: str, *, timeout_s: float | None = None
    ) -> Collection:
        """Give the new index up; the one that serves is not touched."""
        request = collection_pb2.AbandonReindexRequest(
            name=self._connection.collection(collection), reindex_id=reindex_id
        )
        call = self._stub.AbandonReindex(request, timeout=self._connection.write_s(timeout_s))
        response = await self._connection.of(call)
        return from_wire.collection(response.collection)
