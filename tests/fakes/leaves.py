"""A fake embedder and a fake retriever: they give what a test sets, and remember what they saw."""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from groundmesh.errors import FailedPrecondition, MeshError, Reason
from groundmesh.identity import Principal, current_principal
from groundmesh.names import document_id
from groundmesh.server.app import Service
from groundmesh.v1 import (
    collection_pb2,
    common_pb2,
    document_pb2,
    embedder_pb2,
    embedder_pb2_grpc,
    retriever_pb2,
    retriever_pb2_grpc,
)
from tests.fakes.gateway import FakeEngine

Context = grpc.aio.ServicerContext[Any, Any]

MODEL = embedder_pb2.EmbeddingModel(
    model="fake-embedder", revision="r1", dimension=4, max_input_tokens=256, normalized=True
)
RETRIEVER_SERVICES = (
    collection_pb2.DESCRIPTOR.services_by_name["CollectionService"],
    document_pb2.DESCRIPTOR.services_by_name["DocumentService"],
)


@dataclass
class FakeLeaf:
    """What both fakes have."""

    requests: list[Any] = field(default_factory=list)
    time_left: list[float | None] = field(default_factory=list)
    principals: list[Principal] = field(default_factory=list)
    raises: MeshError | None = None
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """While cleared, calls wait."""

    def __post_init__(self) -> None:
        self.open.set()

    async def seen(self, request: Message, context: Context) -> None:
        self.requests.append(request)
        self.time_left.append(context.time_remaining())
        self.principals.append(current_principal())
        await self.open.wait()
        if self.raises is not None:
            raise self.raises

    def last(self, kind: type[Any]) -> Any:
        return next(each for each in reversed(self.requests) if isinstance(each, kind))


@dataclass
class FakeEmbedder(FakeLeaf):
    """Embeds everything as the same vector, unless told how; reranks where a test says how."""

    truncated: bool = False
    vector_of: Callable[[str], list[float]] = lambda _: [0.0] * MODEL.dimension
    embeds_passages: asyncio.Event = field(default_factory=asyncio.Event)
    """While cleared, Embed waits where it is not for a query."""
    score: Callable[[str], float] | None = None
    """The cross-encoder's score of a passage; None: there is no cross-encoder."""
    fails_to_rerank: MeshError | None = None
    reranking: asyncio.Event = field(default_factory=asyncio.Event)
    """While cleared, Rerank waits."""
    waiting: int = 0
    """Calls of Rerank that wait."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reranking.set()
        self.embeds_passages.set()

    async def Embed(
        self, request: embedder_pb2.EmbedRequest, context: Context
    ) -> embedder_pb2.EmbedResponse:
        await self.seen(request, context)
        if request.kind != embedder_pb2.INPUT_KIND_QUERY:
            await self.embeds_passages.wait()
        item = embedder_pb2.EmbeddedItem(tokens=5, truncated=self.truncated)
        return embedder_pb2.EmbedResponse(
            model=MODEL.model,
            revision=MODEL.revision,
            vectors=packed([self.vector_of(text) for text in request.texts]),
            items=[item] * len(request.texts),
        )

    async def Rerank(
        self, request: embedder_pb2.RerankRequest, context: Context
    ) -> embedder_pb2.RerankResponse:
        await self.seen(request, context)
        if self.fails_to_rerank is not None:
            raise self.fails_to_rerank
        if self.score is None:
            raise FailedPrecondition("no reranker", reason=Reason.RERANKER_NOT_CONFIGURED)
        self.waiting += 1
        try:
            await self.reranking.wait()
        finally:
            self.waiting -= 1
        scores = map(self.score, request.passages)
        return embedder_pb2.RerankResponse(
            items=[embedder_pb2.RerankedItem(score=score) for score in scores]
        )

    async def ListModels(
        self, request: embedder_pb2.EmbedderServiceListModelsRequest, context: Context
    ) -> embedder_pb2.EmbedderServiceListModelsResponse:
        await self.seen(request, context)
        return embedder_pb2.EmbedderServiceListModelsResponse(embedding_models=[MODEL])

    def service(self) -> Service:
        def register(server: grpc.aio.Server) -> None:
            servicer: Any = self
            embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(
                _with_the_rest(servicer, embedder_pb2_grpc.EmbedderServiceServicer), server
            )

        return Service(
            name="embedder",
            engine=FakeEngine(),
            register=register,
            grpc_services=("groundmesh.v1.EmbedderService",),
        )


@dataclass
class FakeRetriever(FakeLeaf):
    """Finds the chunks that it was given and reads texts; other calls get an empty message."""

    chunks: list[retriever_pb2.ScoredChunk] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    vectors: list[list[float]] = field(default_factory=list)
    """Of the chunks; without any, it gives none when asked for them."""
    texts: dict[str, bytes] = field(default_factory=dict)
    """Of documents, by name."""
    fails_to_read: MeshError | None = None
    """What reading of texts ends with."""
    least_evidence: float | None = None
    """To which collections are calibrated."""
    fails_to_get: MeshError | None = None
    """What reading of a collection ends with."""

    async def Search(
        self, request: retriever_pb2.SearchRequest, context: Context
    ) -> retriever_pb2.SearchResponse:
        await self.seen(request, context)
        return retriever_pb2.SearchResponse(
            chunks=self.chunks[: request.limit],
            mode=request.mode or retriever_pb2.SEARCH_MODE_HYBRID,
            degraded=self.degraded,
            vectors=packed(self.vectors[: request.limit]) if request.with_vectors else None,
        )

    def service(self) -> Service:
        def register(server: grpc.aio.Server) -> None:
            servicer: Any = self
            retriever_pb2_grpc.add_RetrieverServiceServicer_to_server(
                _with_the_rest(servicer, retriever_pb2_grpc.RetrieverServiceServicer), server
            )
            for service in RETRIEVER_SERVICES:
                handlers = {method.name: self._empty(method) for method in service.methods}
                generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
                server.add_generic_rpc_handlers((generic,))

        return Service(
            name="retriever",
            engine=FakeEngine(),
            register=register,
            grpc_services=(
                "groundmesh.v1.RetrieverService",
                *(service.full_name for service in RETRIEVER_SERVICES),
            ),
        )

    def _text(
        self, request: document_pb2.GetDocumentTextRequest
    ) -> document_pb2.GetDocumentTextResponse:
        if self.fails_to_read is not None:
            raise self.fails_to_read
        text = self.texts.get(request.name, b"")[request.start_byte : request.end_byte]
        return document_pb2.GetDocumentTextResponse(text=text)

    def _collection(self) -> collection_pb2.GetCollectionResponse:
        if self.fails_to_get is not None:
            raise self.fails_to_get
        response = collection_pb2.GetCollectionResponse()
        if self.least_evidence is not None:
            response.collection.calibration.min_evidence = self.least_evidence
        return response

    def _empty(self, method: Any) -> "grpc.RpcMethodHandler[Any, Any]":
        request_type = GetMessageClass(method.input_type)
        response_type = GetMessageClass(method.output_type)

        async def answer(request: Message, context: Context) -> Message:
            await self.seen(request, context)
            if isinstance(request, document_pb2.GetDocumentTextRequest):
                return self._text(request)
            if isinstance(request, collection_pb2.GetCollectionRequest):
                return self._collection()
            return response_type()

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request_type.FromString,
            response_serializer=response_type.SerializeToString,
        )


def packed(vectors: list[list[float]]) -> common_pb2.Vectors | None:
    """Vectors as they travel."""
    if not vectors:
        return None
    return common_pb2.Vectors(
        data=b"".join(struct.pack(f"<{len(vector)}f", *vector) for vector in vectors),
        rows=len(vectors),
        dimension=len(vectors[0]),
        dtype=common_pb2.VECTOR_DTYPE_F32,
    )


def chunk(
    text: str,
    *,
    uri: str = "file:///guide.md",
    start_byte: int = 0,
    cosine: float | None = 0.8,
    ordinal: int = 0,
) -> retriever_pb2.ScoredChunk:
    """A chunk as a search gives it."""
    return retriever_pb2.ScoredChunk(
        chunk=document_pb2.Chunk(
            chunk_id=f"chunk-{start_byte}",
            document=f"tenants/default/collections/docs/documents/{document_id(uri)}",
            ordinal=ordinal,
            tokens=9,
            text=text,
            start_byte=start_byte,
            end_byte=start_byte + len(text.encode()),
            place=common_pb2.Place(heading_path=["Setup", "Linux"], page=3),
        ),
        uri=uri,
        title="Guide",
        score=0.03,
        dense_score=cosine,
    )


def _with_the_rest(fake: Any, base: type[Any]) -> Any:
    """The fake's methods on an instance of the class that says UNIMPLEMENTED for all others."""
    servicer = base()
    for name in vars(base):
        if not name.startswith("_") and hasattr(fake, name):
            setattr(servicer, name, getattr(fake, name))
    return servicer
