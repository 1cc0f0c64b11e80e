"""The documents of a mesh."""

from collections.abc import AsyncIterator

from groundmesh.client import from_wire
from groundmesh.client.connection import Connection
from groundmesh.client.values import Chunk, Document
from groundmesh.v1 import document_pb2
from groundmesh.v1.document_pb2_grpc import DocumentServiceStub

PAGE_SIZE = 200


class Documents:
    """Read and delete documents; ``client.documents``.

    A document is named by its resource name, or by its URI together with its collection.
    """

    def __init__(self, connection: Connection) -> None:
        """Made by the client."""
        self._connection = connection
        self._stub = DocumentServiceStub(connection.channel)

    async def get(
        self, document: str, *, collection: str | None = None, timeout_s: float | None = None
    ) -> Document:
        """One document, without its text; NotFound when there is none that you may read."""
        name = self._connection.document(document, collection)
        request = document_pb2.GetDocumentRequest(name=name)
        call = self._stub.GetDocument(request, timeout=self._connection.read_s(timeout_s))
        response = await self._connection.of(call)
        return from_wire.document(response.document)

    async def list(
        self, collection: str, *, uri_prefix: str = "", timeout_s: float | None = None
    ) -> AsyncIterator[Document]:
        """The documents of a collection by URI; the time is that of each page."""
        request = document_pb2.ListDocumentsRequest(
            parent=self._connection.collection(collection),
            page_size=PAGE_SIZE,
            uri_prefix=uri_prefix,
        )
        while True:
            call = self._stub.ListDocuments(request, timeout=self._connection.read_s(timeout_s))
            response = await self._connection.of(call)
            for wire in response.documents:
                yield from_wire.document(wire)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def text(
        self,
        document: str,
        *,
        collection: str | None = None,
        start_byte: int = 0,
        end_byte: int | None = None,
        timeout_s: float | None = None,
    ) -> str:
        """The extracted text, or a range of it; a character cut by the range comes as U+FFFD."""
        request = document_pb2.GetDocumentTextRequest(
            name=self._connection.document(document, collection),
            start_byte=start_byte,
            end_byte=end_byte or 0,
        )
        parts: list[bytes] = []
        while end_byte != request.start_byte:
            call = self._stub.GetDocumentText(request, timeout=self._connection.read_s(timeout_s))
            response = await self._connection.of(call)
            parts.append(response.text)
            request.start_byte = response.end_byte
            if not response.text or response.end_byte >= response.total_bytes:
                break
        return b"".join(parts).decode("utf-8", errors="replace")

    async def chunks(
        self, document: str, *, collection: str | None = None, timeout_s: float | None = None
    ) -> AsyncIterator[Chunk]:
        """The chunks of a document in their order; the time is that of each page."""
        request = document_pb2.ListChunksRequest(
            parent=self._connection.document(document, collection), page_size=PAGE_SIZE
        )
        while True:
            call = self._stub.ListChunks(request, timeout=self._connection.read_s(timeout_s))
            response = await self._connection.of(call)
            for wire in response.chunks:
                yield from_wire.chunk(wire)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def delete(
        self,
        document: str,
        *,
        collection: str | None = None,
        purge: bool = False,
        timeout_s: float | None = None,
    ) -> None:
        """Delete a document; with ``purge`` return only when its text and chunks are gone, too."""
        name = self._connection.document(document, collection)
        request = document_pb2.DeleteDocumentRequest(name=name, purge=purge)
        call = self._stub.DeleteDocument(request, timeout=self._connection.write_s(timeout_s))
        await self._connection.of(call)
