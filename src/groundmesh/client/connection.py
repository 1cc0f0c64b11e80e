"""The connection of a client to a mesh, and what all its calls share."""

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import grpc

from groundmesh.channel import ChannelOptions, open_channel
from groundmesh.client.options import Timeouts
from groundmesh.errors import InvalidArgument, MeshError, Unavailable
from groundmesh.names import CollectionName, DocumentName, document_id
from groundmesh.status import DETAILS_KEY, from_rpc_error

R = TypeVar("R")

_DOCUMENT_ID_LENGTH = 32
_SHORT_NAME = "must be 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends"


class MeshUnreachable(Unavailable):
    """Nobody answers at the mesh's own address; a service behind it that is away is no such."""


class Connection:
    """One channel to a gateway, the tenant of its calls, and their times."""

    def __init__(
        self,
        address: str,
        *,
        tenant: str,
        timeouts: Timeouts,
        options: ChannelOptions | None,
    ) -> None:
        """Connect with the first call."""
        self.address = address
        self.tenant = tenant
        self.timeouts = timeouts
        self.channel = open_channel(address, options=options)

    async def of(self, call: Awaitable[R]) -> R:
        """Await a unary call; what it raises is a MeshError."""
        with self.translated():
            return await call

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise the MeshError that the server raised, for calls in the block."""
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise self._translation(error) from error

    def read_s(self, timeout_s: float | None) -> float:
        """The time of a call that reads, unless it is given one."""
        return self.timeouts.call_s if timeout_s is None else timeout_s

    def write_s(self, timeout_s: float | None) -> float:
        """The time of a call that writes, unless it is given one."""
        return self.timeouts.write_s if timeout_s is None else timeout_s

    def collection(self, collection: str) -> str:
        """The full name of a collection that may be given without its tenant."""
        if "/" in collection:
            return str(CollectionName.parse(collection, field="collection"))
        name = f"tenants/{self.tenant}/collections/{collection}"
        try:
            return str(CollectionName.parse(name, field="collection"))
        except InvalidArgument:
            raise InvalidArgument.of_field(
                "collection", f"{_SHORT_NAME}, not {collection!r}"
            ) from None

    def collections(self, names: str | Sequence[str]) -> list[str]:
        """The full names of one collection or of several."""
        return [self.collection(name) for name in ([names] if isinstance(names, str) else names)]

    def document(self, document: str, collection: str | None) -> str:
        """The full name of a document, given so, or by its URI or id in a collection."""
        if document.startswith("tenants/"):
            return str(DocumentName.parse(document, field="document"))
        if collection is None:
            raise InvalidArgument.of_field("collection", "must be given with a URI")
        is_id = len(document) == _DOCUMENT_ID_LENGTH and ":" not in document
        last = document if is_id else document_id(document)
        name = f"{self.collection(collection)}/documents/{last}"
        return str(DocumentName.parse(name, field="document"))

    def _translation(self, error: grpc.aio.AioRpcError) -> MeshError:
        metadata = error.trailing_metadata() or ()
        from_our_server = any(key == DETAILS_KEY for key, _ in metadata)
        if error.code() is grpc.StatusCode.UNAVAILABLE and not from_our_server:
            return MeshUnreachable(f"the mesh at {self.address} can't be reached")
        return from_rpc_error(error, peer=f"mesh at {self.address}")
