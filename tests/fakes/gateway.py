"""A fake gateway: keeps everything in memory, answers from a script, and remembers its requests."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from groundmesh.errors import (
    AlreadyExists,
    Cancelled,
    InvalidArgument,
    MeshError,
    NotFound,
    Reason,
    Unavailable,
)
from groundmesh.names import document_id
from groundmesh.server.app import Service
from groundmesh.server.engine import EngineInfo
from groundmesh.status import to_status
from groundmesh.v1 import (
    collection_pb2,
    collection_pb2_grpc,
    document_pb2,
    document_pb2_grpc,
    embedder_pb2,
    gateway_pb2,
    gateway_pb2_grpc,
    mesh_pb2,
    retriever_pb2,
)
from tests.fakes.gateway_messages import citation, document, final, scored_chunk, timing

Context = grpc.aio.ServicerContext[Any, Any]


class FakeEngine:
    """Always well."""

    async def start(self) -> None:
        pass

    async def check(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def describe(self) -> EngineInfo:
        return EngineInfo("fake", "1.0", models=("fake-model",), load={"running_requests": 0.0})


@dataclass
class Memory:
    """What the fake holds, and what it saw."""

    collections: dict[str, collection_pb2.Collection] = field(default_factory=dict)
    documents: dict[str, document_pb2.Document] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    open_calls: int = 0
    peers: list[mesh_pb2.PeerInfo] = field(default_factory=list)
    asked: MeshError | None = None
    """Raised by Ask after its first delta."""
    ask_failures: dict[str, list[MeshError]] = field(default_factory=dict)
    """Raised by the next calls of Ask, by their question."""
    rerank_score: float | None = None
    """Of each passage; None: it was not reranked."""
    answer: tuple[str, ...] = ("Three months", " [1].")
    answers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """To questions that have an answer of their own."""
    citations: list[gateway_pb2.Citation] = field(default_factory=lambda: [citation()])
    final: gateway_pb2.AnswerFinal = field(default_factory=final)
    """With the template that was asked for, if one was."""
    standalone_question: str = ""
    """What a question with a conversation before it is made into."""
    found: dict[str, list[str]] = field(default_factory=dict)
    """What Search finds for a query, as URIs, best first; for any other query one contract."""
    near: dict[str, float] = field(default_factory=dict)
    """The cosine of what Search finds for a query."""
    unwanted: set[str] = field(default_factory=set)
    """URIs that Ingest fails."""
    refused: dict[int, MeshError] = field(default_factory=dict)
    """What Search raises, by its mode."""
    pause: asyncio.Event = field(default_factory=asyncio.Event)
    """While cleared, Ask waits after its first delta, and Ingest before each document."""
    breaks: list[int] = field(default_factory=list)
    """After so many documents, one number a stream, Ingest is lost as if the gateway had died."""

    def __post_init__(self) -> None:
        self.pause.set()

    def collection(self, name: str) -> collection_pb2.Collection:
        if name not in self.collections:
            raise NotFound(f"no collection {name}", reason=Reason.COLLECTION_NOT_FOUND)
        return self.collections[name]

    def document(self, name: str) -> document_pb2.Document:
        if name not in self.documents:
            raise NotFound(f"no document {name}", reason=Reason.DOCUMENT_NOT_FOUND)
        return self.documents[name]


def page(names: list[str], size: int, token: str, *, most: int = 2) -> tuple[list[str], str]:
    """Pages of two, however many are asked for, so that clients must turn them."""
    start = int(token or 0)
    end = start + min(size, most)
    return names[start:end], str(end) if end < len(names) else ""


class FakeGateway(gateway_pb2_grpc.GatewayServiceServicer):
    """Ask, Search and Ingest."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    async def Ask(
        self, request: gateway_pb2.AskRequest, context: Context
    ) -> AsyncIterator[gateway_pb2.AskResponse]:
        self.memory.requests.append(request)
        self.memory.collection(request.collections[0])
        if self.memory.ask_failures.get(request.question):
            raise self.memory.ask_failures[request.question].pop(0)
        self.memory.open_calls += 1
        try:
            async for response in self._answer(request):
                yield response
        finally:
            self.memory.open_calls -= 1

    async def _answer(
        self, request: gateway_pb2.AskRequest
    ) -> AsyncIterator[gateway_pb2.AskResponse]:
        sources = gateway_pb2.Sources(
            sources=[gateway_pb2.Source(number=1, chunk=self._chunk())],
            standalone_question=self.memory.standalone_question if request.history else "",
        )
        yield gateway_pb2.AskResponse(sources=sources)
        for text in self.memory.answers.get(request.question, self.memory.answer):
            yield gateway_pb2.AskResponse(delta=gateway_pb2.AnswerDelta(text=text))
            await self.memory.pause.wait()
            if self.memory.asked is not None:
                raise self.memory.asked
        for each in self.memory.citations:
            yield gateway_pb2.AskResponse(citation=each)
        yield gateway_pb2.AskResponse()  # an event of a kind that this client does not know
        end = gateway_pb2.AnswerFinal()
        end.CopyFrom(self.memory.final)
        end.template = request.template or end.template
        yield gateway_pb2.AskResponse(final=end)

    async def Search(
        self, request: gateway_pb2.GatewayServiceSearchRequest, context: Context
    ) -> gateway_pb2.GatewayServiceSearchResponse:
        self.memory.requests.append(request)
        self.memory.collection(request.collections[0])
        if request.retrieval.mode in self.memory.refused:
            raise self.memory.refused[request.retrieval.mode]
        found = self.memory.found.get(request.query)
        chunks = [self._chunk()] if found is None else [*map(scored_chunk, found)]
        for chunk in chunks:
            chunk.dense_score = self.memory.near.get(request.query, chunk.dense_score)
        return gateway_pb2.GatewayServiceSearchResponse(
            chunks=chunks,
            mode=retriever_pb2.SEARCH_MODE_HYBRID,
            timings=[timing(gateway_pb2.STAGE_TOTAL, 12)],
            degraded=["no full text here"],
        )

    def _chunk(self) -> retriever_pb2.ScoredChunk:
        chunk = scored_chunk()
        if self.memory.rerank_score is not None:
            chunk.rerank_score = self.memory.rerank_score
        return chunk

    async def Ingest(
        self, request_iterator: AsyncIterator[gateway_pb2.IngestRequest], context: Context
    ) -> AsyncIterator[gateway_pb2.IngestResponse]:
        self.memory.open_calls += 1
        try:
            async for response in self._ingest(request_iterator):
                yield response
        finally:
            self.memory.open_calls -= 1

    async def _ingest(
        self, requests: AsyncIterator[gateway_pb2.IngestRequest]
    ) -> AsyncIterator[gateway_pb2.IngestResponse]:
        begin = (await anext(requests)).begin
        self.memory.requests.append(begin)
        if not begin.create_collection:
            self.memory.collection(begin.parent)
        progress = gateway_pb2.IngestProgress()
        lost_after = self.memory.breaks.pop(0) if self.memory.breaks else None
        async for request in requests:
            await self.memory.pause.wait()
            match request.WhichOneof("step"):
                case "document":
                    if progress.documents_done == lost_after:
                        raise Unavailable("lost")
                    head, content = request.document, b""
                case "part":
                    content += request.part
                    progress.bytes += len(request.part)
                case "end":
                    if request.end.abandon:
                        event = _failed(head.uri, Cancelled("it was given up"))
                    else:
                        event = self._take(begin.parent, head, content)
                    progress.documents_done += 1
                    progress.chunks += event.chunk_count
                    yield gateway_pb2.IngestResponse(document=event)
        yield gateway_pb2.IngestResponse(progress=progress)

    def _take(
        self, parent: str, head: gateway_pb2.IngestDocument, content: bytes
    ) -> gateway_pb2.DocumentIngested:
        if not content or head.uri in self.memory.unwanted:
            empty = InvalidArgument("the document is empty", reason=Reason.DOCUMENT_EMPTY)
            return _failed(head.uri, empty)
        name = f"{parent}/documents/{document_id(head.uri)}"
        known = self.memory.texts.get(name)
        self.memory.texts[name] = content
        self.memory.documents[name] = document(name, head, content)
        outcome = gateway_pb2.INGEST_OUTCOME_INDEXED
        if known is not None:
            same = known == content
            outcome = (
                gateway_pb2.INGEST_OUTCOME_UNCHANGED
                if same
                else gateway_pb2.INGEST_OUTCOME_REPLACED
            )
        return gateway_pb2.DocumentIngested(uri=head.uri, outcome=outcome, chunk_count=1, name=name)


def _failed(uri: str, error: MeshError) -> gateway_pb2.DocumentIngested:
    return gateway_pb2.DocumentIngested(
        uri=uri, outcome=gateway_pb2.INGEST_OUTCOME_FAILED, error=to_status(error)
    )


class FakeCollections(collection_pb2_grpc.CollectionServiceServicer):
    """Collections in a dict."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    async def CreateCollection(
        self, request: collection_pb2.CreateCollectionRequest, context: Context
    ) -> collection_pb2.CreateCollectionResponse:
        self.memory.requests.append(request)
        name = f"{request.parent}/collections/{request.collection_id}"
        if name in self.memory.collections:
            raise AlreadyExists(f"{name} is there", reason=Reason.COLLECTION_EXISTS)
        made = collection_pb2.Collection()
        made.CopyFrom(request.collection)
        made.name = name
        made.index.embedding.MergeFrom(
            embedder_pb2.EmbeddingModel(model="fake-embedder", revision="r1", dimension=8)
        )
        self.memory.collections[name] = made
        return collection_pb2.CreateCollectionResponse(collection=made)

    async def GetCollection(
        self, request: collection_pb2.GetCollectionRequest, context: Context
    ) -> collection_pb2.GetCollectionResponse:
        found = self.memory.collection(request.name)
        documents = f"{request.name}/documents/"
        found.document_count = sum(name.startswith(documents) for name in self.memory.documents)
        return collection_pb2.GetCollectionResponse(collection=found)

    async def ListCollections(
        self, request: collection_pb2.ListCollectionsRequest, context: Context
    ) -> collection_pb2.ListCollectionsResponse:
        mine = [name for name in self.memory.collections if name.startswith(request.parent)]
        names, token = page(sorted(mine), request.page_size, request.page_token)
        return collection_pb2.ListCollectionsResponse(
            collections=[self.memory.collections[name] for name in names], next_page_token=token
        )

    async def UpdateCollection(
        self, request: collection_pb2.UpdateCollectionRequest, context: Context
    ) -> collection_pb2.UpdateCollectionResponse:
        self.memory.requests.append(request)
        found = self.memory.collection(request.collection.name)
        if "calibration" in request.update_mask.paths:
            found.calibration.CopyFrom(request.collection.calibration)
        else:
            found.description = request.collection.description
        return collection_pb2.UpdateCollectionResponse(collection=found)

    async def DeleteCollection(
        self, request: collection_pb2.DeleteCollectionRequest, context: Context
    ) -> collection_pb2.DeleteCollectionResponse:
        self.memory.collection(request.name)
        del self.memory.collections[request.name]
        return collection_pb2.DeleteCollectionResponse()


class FakeDocuments(document_pb2_grpc.DocumentServiceServicer):
    """Documents in a dict; texts are given in parts of eight bytes."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    async def GetDocument(
        self, request: document_pb2.GetDocumentRequest, context: Context
    ) -> document_pb2.GetDocumentResponse:
        return document_pb2.GetDocumentResponse(document=self.memory.document(request.name))

    async def ListDocuments(
        self, request: document_pb2.ListDocumentsRequest, context: Context
    ) -> document_pb2.ListDocumentsResponse:
        self.memory.collection(request.parent)
        mine = [
            found
            for name, found in self.memory.documents.items()
            if name.startswith(request.parent) and found.uri.startswith(request.uri_prefix)
        ]
        by_uri = {found.uri: found for found in mine}
        uris, token = page(sorted(by_uri), request.page_size, request.page_token)
        return document_pb2.ListDocumentsResponse(
            documents=[by_uri[uri] for uri in uris], next_page_token=token
        )

    async def DeleteDocument(
        self, request: document_pb2.DeleteDocumentRequest, context: Context
    ) -> document_pb2.DeleteDocumentResponse:
        self.memory.requests.append(request)
        self.memory.document(request.name)
        del self.memory.documents[request.name]
        return document_pb2.DeleteDocumentResponse()

    async def GetDocumentText(
        self, request: document_pb2.GetDocumentTextRequest, context: Context
    ) -> document_pb2.GetDocumentTextResponse:
        self.memory.document(request.name)
        text = self.memory.texts[request.name]
        end = min(request.end_byte or len(text), request.start_byte + 8, len(text))
        return document_pb2.GetDocumentTextResponse(
            text=text[request.start_byte : end],
            start_byte=request.start_byte,
            end_byte=end,
            total_bytes=len(text),
        )

    async def ListChunks(
        self, request: document_pb2.ListChunksRequest, context: Context
    ) -> document_pb2.ListChunksResponse:
        self.memory.document(request.parent)
        names, token = page(["0", "1", "2"], request.page_size, request.page_token)
        chunks = [document_pb2.Chunk(document=request.parent, ordinal=int(n)) for n in names]
        return document_pb2.ListChunksResponse(chunks=chunks, next_page_token=token)


def gateway_service(memory: Memory) -> Service:
    """All of the fake, to be served with the production chassis."""

    fake = FakeGateway(memory)  # type: ignore[abstract]  # no reindex

    def register(server: grpc.aio.Server) -> None:
        gateway_pb2_grpc.add_GatewayServiceServicer_to_server(fake, server)
        collections = FakeCollections(memory)  # type: ignore[abstract]  # no reindex
        collection_pb2_grpc.add_CollectionServiceServicer_to_server(collections, server)
        document_pb2_grpc.add_DocumentServiceServicer_to_server(FakeDocuments(memory), server)

    async def peers() -> list[mesh_pb2.PeerInfo]:
        return memory.peers

    return Service(
        name="gateway",
        engine=FakeEngine(),
        register=register,
        grpc_services=(
            "groundmesh.v1.GatewayService",
            "groundmesh.v1.CollectionService",
            "groundmesh.v1.DocumentService",
        ),
        peers=peers,
    )
