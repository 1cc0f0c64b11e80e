"""The collections of a mesh."""

from collections.abc import AsyncIterator

from google.protobuf.field_mask_pb2 import FieldMask

from groundmesh.client import from_wire, to_wire
from groundmesh.client.connection import Connection
from groundmesh.client.values import Collection, IndexSettings
from groundmesh.v1 import collection_pb2
from groundmesh.v1.collection_pb2_grpc import CollectionServiceStub

PAGE_SIZE = 200


class Collections:
    """Create, read, change and delete collections; ``client.collections``."""

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

    async def delete(self, collection: str, *, timeout_s: float | None = None) -> None:
        """Delete a collection with all its documents; NotFound when there is none."""
        name = self._connection.collection(collection)
        request = collection_pb2.DeleteCollectionRequest(name=name)
        call = self._stub.DeleteCollection(request, timeout=self._connection.write_s(timeout_s))
        await self._connection.of(call)
