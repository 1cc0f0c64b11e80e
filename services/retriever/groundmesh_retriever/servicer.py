"""The retriever's three services: translate messages and delegate to the core."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from groundmesh.errors import MeshError
from groundmesh.identity import current_principal
from groundmesh.names import CollectionName, DocumentName
from groundmesh.server.app import Service
from groundmesh.server.checks import require_name
from groundmesh.v1 import (
    collection_pb2,
    collection_pb2_grpc,
    document_pb2,
    document_pb2_grpc,
    retriever_pb2,
    retriever_pb2_grpc,
)
from groundmesh_retriever.core import Retriever
from groundmesh_retriever.draft_checks import MAX_URI_BYTES, check_text
from groundmesh_retriever.servicer_collections import CollectionServicer
from groundmesh_retriever.upload_stream import UploadStream, read_on
from groundmesh_retriever.wire.common import page_size
from groundmesh_retriever.wire.documents import from_chunk, from_document, from_unbuilt
from groundmesh_retriever.wire.search import from_result, to_names, to_query

Context = grpc.aio.ServicerContext[Any, Any]

COLLECTIONS = collection_pb2.DESCRIPTOR.services_by_name["CollectionService"].full_name
DOCUMENTS = document_pb2.DESCRIPTOR.services_by_name["DocumentService"].full_name
RETRIEVER = retriever_pb2.DESCRIPTOR.services_by_name["RetrieverService"].full_name


def retriever_service(retriever: Retriever) -> Service:
    """The retriever as the chassis serves it."""

    def register(server: grpc.aio.Server) -> None:
        collection_pb2_grpc.add_CollectionServiceServicer_to_server(
            CollectionServicer(retriever), server
        )
        document_pb2_grpc.add_DocumentServiceServicer_to_server(DocumentServicer(retriever), server)
        retriever_pb2_grpc.add_RetrieverServiceServicer_to_server(
            RetrieverServicer(retriever), server
        )

    return Service(
        name="retriever",
        engine=retriever,
        register=register,
        grpc_services=(COLLECTIONS, DOCUMENTS, RETRIEVER),
        # A listing may wait for a search: people wait for that one.
        bulk_methods=frozenset(
            {
                f"/{DOCUMENTS}/ListDocuments",
                f"/{DOCUMENTS}/ListChunks",
                f"/{RETRIEVER}/ListUnbuiltDocuments",
                f"/{RETRIEVER}/ReadUnbuiltDocument",
            }
        ),
    )


class DocumentServicer(document_pb2_grpc.DocumentServiceServicer):
    """See ``document.proto``."""

    def __init__(self, retriever: Retriever) -> None:
        self._documents = retriever.documents

    async def GetDocument(  # noqa: N802
        self, request: document_pb2.GetDocumentRequest, _context: Context
    ) -> document_pb2.GetDocumentResponse:
        """Give one document."""
        name = require_name(request.name, DocumentName, field="name")
        document = await self._documents.get(current_principal(), name)
        return document_pb2.GetDocumentResponse(document=from_document(document))

    async def ListDocuments(  # noqa: N802
        self, request: document_pb2.ListDocumentsRequest, _context: Context
    ) -> document_pb2.ListDocumentsResponse:
        """List a collection's documents."""
        check_text(request.uri_prefix, "uri_prefix", MAX_URI_BYTES)
        documents, token = await self._documents.page(
            current_principal(),
            require_name(request.parent, CollectionName, field="parent"),
            uri_prefix=request.uri_prefix,
            page_size=page_size(request.page_size),
            page_token=request.page_token,
        )
        return document_pb2.ListDocumentsResponse(
            documents=map(from_document, documents), next_page_token=token
        )

    async def DeleteDocument(  # noqa: N802
        self, request: document_pb2.DeleteDocumentRequest, _context: Context
    ) -> document_pb2.DeleteDocumentResponse:
        """Delete a document."""
        name = require_name(request.name, DocumentName, field="name")
        await self._documents.delete(current_principal(), name, purge=request.purge)
        return document_pb2.DeleteDocumentResponse()

    async def GetDocumentText(  # noqa: N802
        self, request: document_pb2.GetDocumentTextRequest, _context: Context
    ) -> document_pb2.GetDocumentTextResponse:
        """Read a document's text by range."""
        name = require_name(request.name, DocumentName, field="name")
        part = await self._documents.text(
            current_principal(), name, start=request.start_byte, end=request.end_byte
        )
        return document_pb2.GetDocumentTextResponse(
            text=part.data,
            start_byte=part.start_byte,
            end_byte=part.start_byte + len(part.data),
            total_bytes=part.total_bytes,
        )

    async def ListChunks(  # noqa: N802
        self, request: document_pb2.ListChunksRequest, _context: Context
    ) -> document_pb2.ListChunksResponse:
        """List a document's chunks."""
        page = await self._documents.chunks(
            current_principal(),
            require_name(request.parent, DocumentName, field="parent"),
            page_size=page_size(request.page_size),
            page_token=request.page_token,
        )
        return document_pb2.ListChunksResponse(
            chunks=[from_chunk(chunk, page.document.head, page.splitting) for chunk in page.chunks],
            next_page_token=page.next_page_token,
        )


class RetrieverServicer(retriever_pb2_grpc.RetrieverServiceServicer):
    """See ``retriever.proto``."""

    def __init__(self, retriever: Retriever) -> None:
        self._uploads = retriever.uploads
        self._unbuilt = retriever.unbuilt
        self._searches = retriever.searches

    async def UpsertDocuments(  # noqa: N802
        self,
        request_iterator: AsyncIterator[retriever_pb2.UpsertDocumentsRequest],
        _context: Context,
    ) -> AsyncIterator[retriever_pb2.UpsertDocumentsResponse]:
        """Write documents."""
        stream = UploadStream(self._uploads, current_principal())
        try:
            async for step in request_iterator:
                answer = await stream.take(step)
                if answer is not None:
                    yield answer
            stream.finish()
        except MeshError:
            await read_on(request_iterator)
            raise
        finally:
            await stream.abandon()

    async def Search(  # noqa: N802
        self, request: retriever_pb2.SearchRequest, _context: Context
    ) -> retriever_pb2.SearchResponse:
        """Find chunks."""
        names, query = to_names(request), to_query(request)
        return from_result(await self._searches.search(current_principal(), names, query))

    async def ListUnbuiltDocuments(  # noqa: N802
        self, request: retriever_pb2.ListUnbuiltDocumentsRequest, _context: Context
    ) -> retriever_pb2.ListUnbuiltDocumentsResponse:
        """List what a shadow index lacks."""
        documents, token = await self._unbuilt.page(
            current_principal(),
            require_name(request.parent, CollectionName, field="parent"),
            request.reindex_id,
            page_size=page_size(request.page_size),
            page_token=request.page_token,
        )
        return retriever_pb2.ListUnbuiltDocumentsResponse(
            documents=map(from_document, documents), next_page_token=token
        )

    async def ReadUnbuiltDocument(  # noqa: N802
        self, request: retriever_pb2.ReadUnbuiltDocumentRequest, _context: Context
    ) -> AsyncIterator[retriever_pb2.ReadUnbuiltDocumentResponse]:
        """Give a document to be split anew."""
        name = require_name(request.name, DocumentName, field="name")
        for part in from_unbuilt(await self._unbuilt.read(current_principal(), name)):
            yield part
