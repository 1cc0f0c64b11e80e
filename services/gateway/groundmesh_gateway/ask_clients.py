"""The embedder, the retriever and the generator, as a question wants them."""

from collections.abc import AsyncGenerator, Sequence

from groundmesh.errors import (
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    Reason,
    Unavailable,
)
from groundmesh.prompting import Message, Passage
from groundmesh.v1 import (
    common_pb2,
    embedder_pb2,
    embedder_pb2_grpc,
    gateway_pb2,
    generator_pb2,
    generator_pb2_grpc,
    retriever_pb2,
    retriever_pb2_grpc,
)
from groundmesh_gateway.ask_ports import (
    Done,
    Embedded,
    Found,
    FoundPassage,
    ModelTokens,
    Piece,
    Started,
)
from groundmesh_gateway.ask_requests import MAX_STOPS
from groundmesh_gateway.ask_wire import place_text
from groundmesh_gateway.downstreams import Downstream, Downstreams
from groundmesh_gateway.model_tokens import ModelTokensCache
from groundmesh_gateway.tokenizer_client import chat_prompt

_PASSAGES = 5
_RESULTS = 10


class RemoteFinding:
    """One query to the embedder and the retriever; keeps what came for who sends it on."""

    def __init__(
        self,
        text: str,
        request: gateway_pb2.AskRequest | gateway_pb2.GatewayServiceSearchRequest,
        downstreams: Downstreams,
    ) -> None:
        self._text = text
        self._collections = request.collections
        self._retrieval = request.retrieval
        self._default_limit, self._priority = _RESULTS, common_pb2.PRIORITY_INTERACTIVE
        if isinstance(request, gateway_pb2.AskRequest):
            self._default_limit = _PASSAGES
            self._priority = request.priority or common_pb2.PRIORITY_INTERACTIVE
        self._downstreams = downstreams
        self.found = retriever_pb2.SearchResponse()

    @property
    def wants_vector(self) -> bool:
        """Whether the search is by nearness, too."""
        return self._retrieval.mode != retriever_pb2.SEARCH_MODE_SPARSE

    async def embed(self) -> Embedded[embedder_pb2.EmbedResponse]:
        """The query's vector."""
        embedder = self._downstreams.embedder
        request = embedder_pb2.EmbedRequest(
            kind=embedder_pb2.INPUT_KIND_QUERY,
            texts=[self._text],
            dtype=common_pb2.VECTOR_DTYPE_F32,
            priority=self._priority,
        )
        with embedder.errors():
            response = await embedder_pb2_grpc.EmbedderServiceStub(embedder.channel).Embed(request)
        if len(response.items) != 1:
            raise Internal(f"the embedder gave {len(response.items)} vectors for one query")
        return Embedded(response, truncated=response.items[0].truncated)

    async def search(self, vector: embedder_pb2.EmbedResponse | None) -> Found:
        """The passages for the query."""
        retriever = self._downstreams.retriever
        stub = retriever_pb2_grpc.RetrieverServiceStub(retriever.channel)
        try:
            with retriever.errors():
                self.found = await stub.Search(self._search_request(vector))
        except InvalidArgument as error:
            raise _of_retrieval(error) from error
        passages = [_found_passage(chunk) for chunk in self.found.chunks]
        return Found(passages, tuple(self.found.degraded))

    def _search_request(
        self, vector: embedder_pb2.EmbedResponse | None
    ) -> retriever_pb2.SearchRequest:
        options = self._retrieval
        request = retriever_pb2.SearchRequest(
            collections=self._collections,
            mode=options.mode,
            query_text=self._text,
            limit=options.limit or self._default_limit,
            max_chunks_per_document=options.max_chunks_per_document,
            filter=options.filter if options.HasField("filter") else None,
            consistency=options.consistency,
        )
        if vector is not None:
            request.query_vector.CopyFrom(vector.vectors)
            request.embedding_model = vector.model
            request.embedding_revision = vector.revision
        return request


class RemoteAsking(RemoteFinding):
    """One question to the whole mesh."""

    def __init__(
        self,
        request: gateway_pb2.AskRequest,
        downstreams: Downstreams,
        tokens: ModelTokensCache,
        *,
        temperature: float,
    ) -> None:
        """``temperature`` is for a question that sets none."""
        super().__init__(request.question, request, downstreams)
        self._model = request.model
        self._tokens = tokens
        self._sampling = generator_pb2.Sampling()
        self._sampling.CopyFrom(request.sampling)
        if not request.sampling.HasField("temperature"):
            self._sampling.temperature = temperature

    async def model_tokens(self) -> ModelTokens:
        """The model that is to answer."""
        return await self._tokens.get(self._model)

    async def generate(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> AsyncGenerator[Started | Piece | Done[generator_pb2.GenerationFinal], None]:
        """Have it answered; closing this early aborts the work in the generator."""
        self._sampling.max_tokens = max_tokens
        self._sampling.stop.extend(stops[: MAX_STOPS - len(self._sampling.stop)])
        request = generator_pb2.GenerateRequest(
            model=self._model,
            prompt=chat_prompt(messages),
            sampling=self._sampling,
            priority=self._priority,
        )
        generator = self._downstreams.generator
        call = generator_pb2_grpc.GeneratorServiceStub(generator.channel).Generate(request)
        has_begun = False
        try:
            with generator.errors():
                async for response in call:
                    match response.WhichOneof("event"):
                        case "started":
                            has_begun = True
                            yield Started(response.started.model)
                        case "delta":
                            yield Piece(response.delta.text)
                        case "final":
                            yield Done(response.final)
        except (Unavailable, NotFound, InvalidArgument) as error:
            self._tokens.recheck()  # it may be another generator now, with another model
            if has_begun and error.reason is Reason.SERVICE_UNREACHABLE:
                raise _broken_off(generator) from error
            raise
        finally:
            call.cancel()


def _found_passage(chunk: retriever_pb2.ScoredChunk) -> FoundPassage:
    return FoundPassage(
        Passage(chunk.title, place_text(chunk.chunk.place), chunk.chunk.text),
        start_byte=chunk.chunk.start_byte,
        cosine=chunk.dense_score if chunk.HasField("dense_score") else None,
    )


def _of_retrieval(error: InvalidArgument) -> InvalidArgument:
    """The same about the fields of our own request, where a filter lies deeper."""
    fields = [
        FieldViolation(f"retrieval.{each.field}", each.description)
        if each.field.split(".")[0] == "filter"
        else each
        for each in error.fields
    ]
    said = "; ".join(f"{each.field}: {each.description}" for each in fields)
    ours = InvalidArgument(said or error.message, reason=error.reason, fields=fields)
    ours.travelled = True
    return ours


def _broken_off(generator: Downstream) -> Unavailable:
    error = Unavailable(
        f"the {generator.name} at {generator.address} broke off in the middle of the answer;"
        " ask again",
        metadata={"service": generator.name},
    )
    error.travelled = True
    return error
