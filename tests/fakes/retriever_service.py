"""A fake retriever behind its contract: documents in memory, and every write remembered."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from groundmesh.errors import AlreadyExists, MeshError, NotFound, Reason
from groundmesh.names import document_id
from groundmesh.server.app import Service
from groundmesh.status import to_status
from groundmesh.v1 import (
    collection_pb2,
    collection_pb2_grpc,
    document_pb2,
    document_pb2_grpc,
    retriever_pb2,
    retriever_pb2_grpc,
)
from tests.fakes.gateway import FakeEngine

Context = grpc.aio.ServicerContext[Any, Any]
COLLECTION = "tenants/default/collections/docs"


@dataclass
class Written:
    """A document as it was written."""

    document: document_pb2.Document
    model: tuple[str, str]
    text: bytes = b""
    chunks: list[document_pb2.Chunk] = field(default_factory=list)
    vectors: bytes = b""
    parts: int = 0


def fake_retriever(*, remember_content: bool = True) -> "FakeRetriever":
    """A new one; what it does not do is UNIMPLEMENTED."""
    return FakeRetriever(remember_content=remember_content)  # type: ignore[abstract]


class FakeRetriever(
    collection_pb2_grpc.CollectionServiceServicer,
    document_pb2_grpc.DocumentServiceServicer,
    retriever_pb2_grpc.RetrieverServiceServicer,
):
    """``open`` cleared holds commits up; ``failures`` are what the next commits end with."""

    def __init__(self, *, remember_content: bool) -> None:
        self.collections: dict[str, collection_pb2.Collection] = {}
        self.written: dict[str, Written] = {}
        self.lookups: list[str] = []
        self.commits = 0
        self.chunks = 0
        self.streams = 0
        """Streams of writes that are open."""
        self.most_streams = 0
        self.begun: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[MeshError] = []
        self.broken_streams = 0
        """So many of the next documents end their stream with an error instead of a result."""
        self._remember_content = remember_content

    def service(self) -> Service:
        def register(server: grpc.aio.Server) -> None:
            collection_pb2_grpc.add_CollectionServiceServicer_to_server(self, server)
            document_pb2_grpc.add_DocumentServiceServicer_to_server(self, server)
            retriever_pb2_grpc.add_RetrieverServiceServicer_to_server(self, server)

        names = ("CollectionService", "DocumentService", "RetrieverService")
        services = tuple(f"groundmesh.v1.{name}" for name in names)
        return Service("retriever", FakeEngine(), register, services)

    async def GetCollection(
        self, request: collection_pb2.GetCollectionRequest, context: Context
    ) -> collection_pb2.GetCollectionResponse:
        if request.name not in self.collections:
            raise NotFound(f"no {request.name}", reason=Reason.COLLECTION_NOT_FOUND)
        return collection_pb2.GetCollectionResponse(collection=self.collections[request.name])

    async def CreateCollection(
        self, request: collection_pb2.CreateCollectionRequest, context: Context
    ) -> collection_pb2.CreateCollectionResponse:
        collection = request.collection
        collection.name = f"{request.parent}/collections/{request.collection_id}"
        if collection.name in self.collections:
            raise AlreadyExists("it is there", reason=Reason.COLLECTION_EXISTS)
        splitting = collection.index.splitting
        splitting.max_tokens = splitting.max_tokens or collection.index.embedding.max_input_tokens
        self.collections[collection.name] = collection
        return collection_pb2.CreateCollectionResponse(collection=collection)

    async def GetDocument(
        self, request: document_pb2.GetDocumentRequest, context: Context
    ) -> document_pb2.GetDocumentResponse:
        self.lookups.append(request.name)
        if request.name not in self.written:
            raise NotFound("no such document", reason=Reason.DOCUMENT_NOT_FOUND)
        return document_pb2.GetDocumentResponse(document=self.written[request.name].document)

    async def UpsertDocuments(
        self,
        request_iterator: AsyncIterator[retriever_pb2.UpsertDocumentsRequest],
        context: Context,
    ) -> AsyncIterator[retriever_pb2.UpsertDocumentsResponse]:
        self.streams += 1
        self.most_streams = max(self.most_streams, self.streams)
        try:
            async for response in self._answers(request_iterator):
                yield response
        finally:
            self.streams -= 1

    async def _answers(
        self, requests: AsyncIterator[retriever_pb2.UpsertDocumentsRequest]
    ) -> AsyncIterator[retriever_pb2.UpsertDocumentsResponse]:
        new: Written | None = None
        async for request in requests:
            if request.HasField("document"):
                begin = request.document
                new = Written(begin.document, (begin.embedding_model, begin.embedding_revision))
                new.document.name = f"{begin.parent}/documents/{document_id(new.document.uri)}"
                self.begun.append(new.document.uri)
                continue
            assert new is not None
            if request.HasField("commit"):
                await self.open.wait()
                yield self._commit(new, request.commit)
            else:
                self._add(new, request)

    def _add(self, new: Written, request: retriever_pb2.UpsertDocumentsRequest) -> None:
        new.document.chunk_count += len(request.chunks.chunks)
        new.parts += 1
        assert not new.chunks or not request.text_part
        if self._remember_content:
            new.text += request.text_part
            new.chunks.extend(request.chunks.chunks)
            new.vectors += request.chunks.vectors.data

    def _commit(
        self, new: Written, commit: retriever_pb2.UpsertCommit
    ) -> retriever_pb2.UpsertDocumentsResponse:
        uri = new.document.uri
        if self.broken_streams:
            self.broken_streams -= 1
            raise self.failures.pop(0)
        if self.failures:
            status = to_status(self.failures.pop(0))
            return retriever_pb2.UpsertDocumentsResponse(uri=uri, error=status)
        assert commit.chunk_count == new.document.chunk_count
        known = new.document.name in self.written
        self.written[new.document.name] = new
        self.commits += 1
        self.chunks += commit.chunk_count
        outcome = (
            retriever_pb2.UPSERT_OUTCOME_REPLACED if known else retriever_pb2.UPSERT_OUTCOME_CREATED
        )
        upserted = retriever_pb2.UpsertedDocument(document=new.document, outcome=outcome)
        return retriever_pb2.UpsertDocumentsResponse(uri=uri, upserted=upserted)
