"""A fake embedder behind its contract: vectors say nothing, but every call is remembered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio

from groundmesh.errors import InvalidArgument, MeshError, NotFound, Reason, Unavailable
from groundmesh.server.app import Service
from groundmesh.status import to_status
from groundmesh.v1 import common_pb2, embedder_pb2, embedder_pb2_grpc
from tests import tokenizer_files
from tests.fakes.gateway import FakeEngine

MODEL = "fake-model"
REVISION = "fake-revision"
DIMENSION = 8
MAX_INPUT_TOKENS = 64
POISON = "poison"
"""A text with this word is refused, with all that came in the same call."""

Context = grpc.aio.ServicerContext[Any, Any]


def fake_embedder(
    *, remember_texts: bool = True, max_input_tokens: int = MAX_INPUT_TOKENS
) -> "FakeEmbedderService":
    """A new one; what it does not do is UNIMPLEMENTED."""
    return FakeEmbedderService(  # type: ignore[abstract]
        remember_texts=remember_texts, max_input_tokens=max_input_tokens
    )


class FakeEmbedderService(embedder_pb2_grpc.EmbedderServiceServicer):
    """Each vector holds the length of its text; ``open`` cleared holds requests up."""

    def __init__(self, *, remember_texts: bool, max_input_tokens: int) -> None:
        self.calls: list[int] = []
        """Texts in each request."""
        self.texts: list[str] = []
        self.requests: list[embedder_pb2.EmbedRequest] = []
        self.running = 0
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[MeshError] = []
        """What the next requests end with; Unavailable ends their stream."""
        self.revision = REVISION
        self.poison = POISON
        self.models = {MODEL: DIMENSION}
        """What is served, with the numbers in a vector; the first is the default."""
        self.on_call: Callable[[], None] = lambda: None
        self._remember_texts = remember_texts
        self._max_input_tokens = max_input_tokens

    def service(self) -> Service:
        def register(server: grpc.aio.Server) -> None:
            embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(self, server)

        return Service("embedder", FakeEngine(), register, ("groundmesh.v1.EmbedderService",))

    async def EmbedStream(
        self,
        request_iterator: AsyncIterator[embedder_pb2.EmbedStreamRequest],
        context: Context,
    ) -> AsyncIterator[embedder_pb2.EmbedStreamResponse]:
        async for asked in request_iterator:
            answer = embedder_pb2.EmbedStreamResponse(sequence=asked.sequence)
            try:
                answer.response.CopyFrom(await self._embedded(asked.request))
            except Unavailable:
                raise
            except MeshError as error:
                answer.error.CopyFrom(to_status(error))
            yield answer

    async def _embedded(self, request: embedder_pb2.EmbedRequest) -> embedder_pb2.EmbedResponse:
        self.on_call()
        self.calls.append(len(request.texts))
        if self._remember_texts:
            self.texts.extend(request.texts)
            self.requests.append(request)
        self.running += 1
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        if self.failures:
            raise self.failures.pop(0)
        if any(self.poison in text for text in request.texts):
            raise InvalidArgument.of_field("texts", "too long", reason=Reason.INPUT_TOO_LONG)
        model = self._served(request.model)
        rows = [self.row(text, self.models[model]) for text in request.texts]
        return embedder_pb2.EmbedResponse(
            model=model,
            revision=self.revision,
            vectors=common_pb2.Vectors(
                data=b"".join(rows),
                rows=len(rows),
                dimension=self.models[model],
                dtype=common_pb2.VECTOR_DTYPE_F32,
            ),
        )

    def row(self, text: str, dimension: int) -> bytes:
        """The vector of a text."""
        return len(text).to_bytes(4 * dimension, "little")

    async def ListModels(
        self, request: embedder_pb2.EmbedderServiceListModelsRequest, context: Context
    ) -> embedder_pb2.EmbedderServiceListModelsResponse:
        models = [
            embedder_pb2.EmbeddingModel(
                model=model,
                revision=self.revision,
                dimension=dimension,
                max_input_tokens=self._max_input_tokens,
                normalized=True,
            )
            for model, dimension in self.models.items()
        ]
        return embedder_pb2.EmbedderServiceListModelsResponse(embedding_models=models)

    async def GetTokenizer(
        self, request: embedder_pb2.EmbedderServiceGetTokenizerRequest, context: Context
    ) -> embedder_pb2.EmbedderServiceGetTokenizerResponse:
        return embedder_pb2.EmbedderServiceGetTokenizerResponse(
            model=self._served(request.model),
            tokenizer_json=tokenizer_files.wordpiece(),
            sha256="fake",
            max_input_tokens=self._max_input_tokens,
        )

    def _served(self, model: str) -> str:
        if model and model not in self.models:
            raise NotFound(f"no {model}", reason=Reason.MODEL_NOT_FOUND)
        return model or next(iter(self.models))
