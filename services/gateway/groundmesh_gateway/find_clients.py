"""The embedder and the retriever, as the finding of passages wants them."""

from collections.abc import Sequence
from contextlib import suppress

from groundmesh.errors import (
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    Reason,
)
from groundmesh.v1 import (
    common_pb2,
    document_pb2,
    document_pb2_grpc,
    embedder_pb2,
    embedder_pb2_grpc,
    gateway_pb2,
    retriever_pb2,
    retriever_pb2_grpc,
)
from groundmesh_gateway.downstreams import Downstreams
from groundmesh_gateway.find_wire import found_passage, rows
from groundmesh_gateway.finding import Embedded, Found, Vector, Wish
from groundmesh_gateway.query_models import QueryModels

_PASSAGES = 5
_RESULTS = 10
_OWN_FIELDS = ("filter", "fusion")
"""What the retriever takes as it was sent to us, where it lies deeper."""


class RemoteFinding:
    """One query to the embedder and the retriever; keeps what came for who sends it on."""

    def __init__(
        self,
        text: str,
        request: gateway_pb2.AskRequest | gateway_pb2.GatewayServiceSearchRequest,
        downstreams: Downstreams,
        models: QueryModels,
    ) -> None:
        self._models = models
        self._text = text
        self._collections = request.collections
        self._retrieval = request.retrieval
        default_limit, self._priority = _RESULTS, common_pb2.PRIORITY_INTERACTIVE
        if isinstance(request, gateway_pb2.AskRequest):
            default_limit = _PASSAGES
            self._priority = request.priority or common_pb2.PRIORITY_INTERACTIVE
        self.wish = _wish(request.retrieval, default_limit)
        self._downstreams = downstreams
        self.found = retriever_pb2.SearchResponse()

    def find_for(self, text: str) -> None:
        """Find passages for this, and not for the text of the request."""
        self._text = text

    @property
    def wants_vector(self) -> bool:
        """Whether the search is by nearness, too."""
        return self._retrieval.mode != retriever_pb2.SEARCH_MODE_SPARSE

    async def embed(self) -> Embedded[embedder_pb2.EmbedResponse]:
        """The query's vector."""
        return await self._embed(self._models.of(self._collections[0]))

    async def embed_texts(self, texts: Sequence[str]) -> Sequence[Vector]:
        """A vector for each piece of a text, by the model that the passages have theirs of."""
        model = self._models.of(self._collections[0])
        response = await self._call_embed(model, embedder_pb2.INPUT_KIND_PASSAGE, texts)
        vectors = rows(response.vectors, count=len(texts))
        if vectors is None:
            raise Internal(f"the embedder gave no vectors that belong to {len(texts)} texts")
        return vectors

    async def _embed(self, model: str) -> Embedded[embedder_pb2.EmbedResponse]:
        response = await self._call_embed(model, embedder_pb2.INPUT_KIND_QUERY, [self._text])
        if len(response.items) != 1:
            raise Internal(f"the embedder gave {len(response.items)} vectors for one query")
        return Embedded(response, truncated=response.items[0].truncated)

    async def _call_embed(
        self, model: str, kind: embedder_pb2.InputKind.ValueType, texts: Sequence[str]
    ) -> embedder_pb2.EmbedResponse:
        embedder = self._downstreams.embedder
        request = embedder_pb2.EmbedRequest(
            model=model,
            kind=kind,
            texts=texts,
            dtype=common_pb2.VECTOR_DTYPE_F32,
            priority=self._priority,
        )
        with embedder.errors():
            return await embedder_pb2_grpc.EmbedderServiceStub(embedder.channel).Embed(request)

    async def search(self, vector: embedder_pb2.EmbedResponse | None, *, depth: int) -> Found:
        """The best chunks for the query."""
        try:
            return await self._search(vector, depth)
        except FailedPrecondition as error:
            if vector is None or error.reason is not Reason.MODEL_MISMATCH:
                raise
            collection = self._collections[0]
            model = await self._models.ask(collection)
            if model == vector.model:
                raise  # another revision of it, then, which no other turn would mend
            with suppress(NotFound):  # it is not served: what the retriever said is the matter
                found = await self._search((await self._embed(model)).vector, depth)
                self._models.know(collection, model)
                return found
            raise

    async def _search(self, vector: embedder_pb2.EmbedResponse | None, depth: int) -> Found:
        retriever = self._downstreams.retriever
        stub = retriever_pb2_grpc.RetrieverServiceStub(retriever.channel)
        try:
            with retriever.errors():
                self.found = await stub.Search(self._search_request(vector, depth))
        except InvalidArgument as error:
            raise _of_retrieval(error) from error
        return Found(
            [found_passage(chunk, index) for index, chunk in enumerate(self.found.chunks)],
            tuple(self.found.degraded),
            rows(self.found.vectors, count=len(self.found.chunks)),
        )

    async def rerank(self, texts: Sequence[str]) -> Sequence[float]:
        """How well each text answers the query."""
        embedder = self._downstreams.embedder
        request = embedder_pb2.RerankRequest(
            query=self._text, passages=texts, priority=self._priority
        )
        with embedder.errors():
            response = await embedder_pb2_grpc.EmbedderServiceStub(embedder.channel).Rerank(request)
        return [item.score for item in response.items]

    async def read(self, document: str, start_byte: int, end_byte: int) -> bytes:
        """A part of a document's text."""
        retriever = self._downstreams.retriever
        request = document_pb2.GetDocumentTextRequest(
            name=document, start_byte=start_byte, end_byte=end_byte
        )
        stub = document_pb2_grpc.DocumentServiceStub(retriever.channel)
        with retriever.errors():
            response = await stub.GetDocumentText(request)
        return response.text

    def _search_request(
        self, vector: embedder_pb2.EmbedResponse | None, depth: int
    ) -> retriever_pb2.SearchRequest:
        options = self._retrieval
        request = retriever_pb2.SearchRequest(
            collections=self._collections,
            mode=options.mode,
            query_text=self._text,
            limit=depth,
            max_chunks_per_document=options.max_chunks_per_document,
            filter=options.filter if options.HasField("filter") else None,
            consistency=options.consistency,
            fusion=options.fusion if options.HasField("fusion") else None,
            with_vectors=self.wish.relevance_weight is not None,
        )
        if vector is not None:
            request.query_vector.CopyFrom(vector.vectors)
            request.embedding_model = vector.model
            request.embedding_revision = vector.revision
        return request


def _wish(options: gateway_pb2.RetrievalOptions, default_limit: int) -> Wish:
    diverse = options.HasField("diversity")
    return Wish(
        limit=options.limit or default_limit,
        rerank=options.rerank,
        relevance_weight=options.diversity.relevance_weight if diverse else None,
        merge_neighbors=options.merge_neighbors,
    )


def _of_retrieval(error: InvalidArgument) -> InvalidArgument:
    """The same about the fields of our own request, where some lie deeper."""
    fields = [
        FieldViolation(f"retrieval.{each.field}", each.description)
        if each.field.split(".")[0] in _OWN_FIELDS
        else each
        for each in error.fields
    ]
    said = "; ".join(f"{each.field}: {each.description}" for each in fields)
    ours = InvalidArgument(said or error.message, reason=error.reason, fields=fields)
    ours.travelled = True
    return ours
