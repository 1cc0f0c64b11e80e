"""``EmbedderService``: translates messages and delegates to the core."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from groundmesh.errors import MeshError
from groundmesh.request_id import current_request_id
from groundmesh.server.app import Service
from groundmesh.server.checks import known_enum
from groundmesh.status import to_status
from groundmesh.v1 import common_pb2, embedder_pb2, embedder_pb2_grpc
from groundmesh_embedder.backends.base import EmbeddingModelInfo, InputKind, Pooling
from groundmesh_embedder.core import Embedder
from groundmesh_embedder.fair_queue import Lane, Turn
from groundmesh_embedder.streaming import answered_as_done
from groundmesh_embedder.vectors import packed

SERVICE = embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name

KINDS = {
    embedder_pb2.INPUT_KIND_QUERY: InputKind.QUERY,
    embedder_pb2.INPUT_KIND_PASSAGE: InputKind.PASSAGE,
}
LANES = {
    common_pb2.PRIORITY_INTERACTIVE: Lane.INTERACTIVE,
    common_pb2.PRIORITY_BULK: Lane.BULK,
}
POOLINGS = {
    Pooling.MEAN: embedder_pb2.POOLING_MEAN,
    Pooling.CLS: embedder_pb2.POOLING_CLS,
    Pooling.LAST_TOKEN: embedder_pb2.POOLING_LAST_TOKEN,
    Pooling.MAX: embedder_pb2.POOLING_MAX,
    Pooling.OTHER: embedder_pb2.POOLING_OTHER,
}

Context = grpc.aio.ServicerContext[Any, Any]


def embedder_service(embedder: Embedder, *, stream_in_flight: int) -> Service:
    """The embedder as the chassis serves it."""
    servicer = EmbedderServicer(embedder, stream_in_flight=stream_in_flight)
    return Service(
        name="embedder",
        engine=embedder,
        register=partial(embedder_pb2_grpc.add_EmbedderServiceServicer_to_server, servicer),
        grpc_services=(SERVICE,),
    )


class EmbedderServicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """See ``embedder.proto``."""

    def __init__(self, embedder: Embedder, *, stream_in_flight: int) -> None:
        self._embedder = embedder
        self._in_flight = stream_in_flight

    async def Embed(  # noqa: N802 - the contract's name
        self, request: embedder_pb2.EmbedRequest, _context: Context
    ) -> embedder_pb2.EmbedResponse:
        """Embed texts; all or none."""
        lane = _lane(request.priority, default=common_pb2.PRIORITY_INTERACTIVE)
        return await self._embed(request, Turn(lane))

    async def EmbedStream(  # noqa: N802
        self, request_iterator: AsyncIterator[embedder_pb2.EmbedStreamRequest], _context: Context
    ) -> AsyncIterator[embedder_pb2.EmbedStreamResponse]:
        """Embed in bulk."""
        answers = answered_as_done(request_iterator, self._answer, in_flight=self._in_flight)
        async with aclosing(answers):
            async for answer in answers:
                yield answer

    async def Rerank(  # noqa: N802
        self, request: embedder_pb2.RerankRequest, _context: Context
    ) -> embedder_pb2.RerankResponse:
        """Score passages against a query."""
        lane = _lane(request.priority, default=common_pb2.PRIORITY_INTERACTIVE)
        answer = await self._embedder.rerank(
            request.query, request.passages, model=request.model, turn=Turn(lane)
        )
        scores = answer.outcome.rows.tolist()
        return embedder_pb2.RerankResponse(
            model=answer.model.name,
            revision=answer.model.revision,
            items=[
                embedder_pb2.RerankedItem(score=score, tokens=pair.tokens, truncated=pair.truncated)
                for score, pair in zip(scores, answer.inputs, strict=True)
            ],
            queue_duration=_seconds(answer.outcome.queue_s),
            compute_duration=_seconds(answer.outcome.compute_s),
        )

    async def ListModels(  # noqa: N802
        self, _request: embedder_pb2.EmbedderServiceListModelsRequest, _context: Context
    ) -> embedder_pb2.EmbedderServiceListModelsResponse:
        """List what is served."""
        rerankers = [
            embedder_pb2.RerankerModel(
                model=info.name, revision=info.revision, max_input_tokens=info.max_input_tokens
            )
            for info in self._embedder.rerankers()
        ]
        return embedder_pb2.EmbedderServiceListModelsResponse(
            embedding_models=[_embedding_model(info) for info in self._embedder.embedding_models()],
            reranker_models=rerankers,
        )

    async def GetTokenizer(  # noqa: N802
        self, request: embedder_pb2.EmbedderServiceGetTokenizerRequest, _context: Context
    ) -> embedder_pb2.EmbedderServiceGetTokenizerResponse:
        """Hand out a tokenizer."""
        tokenizer = self._embedder.tokenizer(request.model)
        return embedder_pb2.EmbedderServiceGetTokenizerResponse(
            model=tokenizer.model.name,
            tokenizer_json=tokenizer.json,
            sha256=tokenizer.sha256,
            max_input_tokens=tokenizer.model.max_input_tokens,
        )

    async def _answer(
        self, asked: embedder_pb2.EmbedStreamRequest
    ) -> embedder_pb2.EmbedStreamResponse:
        answer = embedder_pb2.EmbedStreamResponse(sequence=asked.sequence)
        try:
            lane = _lane(asked.request.priority, default=common_pb2.PRIORITY_BULK)
            # Patient: a full queue stops the reading of the stream, which slows the client down.
            response = await self._embed(asked.request, Turn(lane, patient=True))
            answer.response.CopyFrom(response)
        except MeshError as error:
            answer.error.CopyFrom(to_status(error, request_id=current_request_id()))
        return answer

    async def _embed(
        self, request: embedder_pb2.EmbedRequest, turn: Turn
    ) -> embedder_pb2.EmbedResponse:
        kind = known_enum(request.kind, embedder_pb2.InputKind, field="kind")
        dtype = known_enum(
            request.dtype,
            common_pb2.VectorDtype,
            field="dtype",
            default=common_pb2.VECTOR_DTYPE_F32,
        )
        answer = await self._embedder.embed(
            request.texts, KINDS[kind], model=request.model, strict=request.strict, turn=turn
        )
        vectors = answer.outcome.rows
        rows, dimension = vectors.shape
        return embedder_pb2.EmbedResponse(
            model=answer.model.name,
            revision=answer.model.revision,
            vectors=common_pb2.Vectors(
                data=packed(vectors, half=dtype == common_pb2.VECTOR_DTYPE_F16),
                rows=rows,
                dimension=dimension,
                dtype=dtype,
            ),
            items=[
                embedder_pb2.EmbeddedItem(tokens=text.tokens, truncated=text.truncated)
                for text in answer.inputs
            ],
            queue_duration=_seconds(answer.outcome.queue_s),
            compute_duration=_seconds(answer.outcome.compute_s),
        )


def _lane(
    priority: common_pb2.Priority.ValueType, *, default: common_pb2.Priority.ValueType
) -> Lane:
    return LANES[known_enum(priority, common_pb2.Priority, field="priority", default=default)]


def _seconds(count: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(count * 1e6))
    return duration


def _embedding_model(info: EmbeddingModelInfo) -> embedder_pb2.EmbeddingModel:
    return embedder_pb2.EmbeddingModel(
        model=info.name,
        revision=info.revision,
        dimension=info.dimension,
        max_input_tokens=info.max_input_tokens,
        pooling=POOLINGS[info.pooling],
        normalized=info.normalized,
        query_prompt=info.query_prompt,
        passage_prompt=info.passage_prompt,
        compute_dtype=info.compute_dtype,
    )
