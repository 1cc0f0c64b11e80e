"""What the service costs in bulk: texts through EmbedStream against sentence-transformers itself.

Same model, same type of numbers, as many threads. Above 1.00 is what the service adds.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

import grpc.aio
import torch
from sentence_transformers import SentenceTransformer

from benchmarks.comparison import Comparison, in_turns
from benchmarks.corpus import passages
from groundmesh.channel import open_channel
from groundmesh.models import resolve_model
from groundmesh.testing import running
from groundmesh.v1 import embedder_pb2, embedder_pb2_grpc
from groundmesh_embedder.backends import open_backend
from groundmesh_embedder.core import Embedder
from groundmesh_embedder.servicer import embedder_service
from groundmesh_embedder.settings import EmbedderSettings

COUNT = 160
PER_REQUEST = 32


async def measure() -> list[Comparison]:
    """Texts of mixed length, as a document's chunks are."""
    settings, texts = EmbedderSettings(), passages(COUNT)
    embedder = Embedder(
        engine=settings.backend,
        open_backend=partial(open_backend, settings.backend, settings.backend_options()),
        options=settings.embedder_options(),
    )
    service = embedder_service(embedder, stream_in_flight=settings.stream_in_flight)
    async with running(service) as server, open_channel(server.address) as channel:
        (info,) = embedder.embedding_models()
        plain = SentenceTransformer(
            resolve_model(settings.model).path,
            model_kwargs={"dtype": getattr(torch, info.compute_dtype)},
        )
        service_s, plain_s = await in_turns(
            partial(embed_all, channel, texts),
            partial(asyncio.to_thread, plain.encode, texts, show_progress_bar=False),
            units=COUNT,
        )
    return [Comparison("a chunk's vector", "EmbedStream", service_s, "encode()", plain_s)]


async def embed_all(channel: grpc.aio.Channel, texts: Sequence[str]) -> None:
    """All texts over one stream, some in each request."""

    async def sent() -> AsyncIterator[embedder_pb2.EmbedStreamRequest]:
        for sequence in range(0, len(texts), PER_REQUEST):
            request = embedder_pb2.EmbedRequest(
                texts=texts[sequence : sequence + PER_REQUEST],
                kind=embedder_pb2.INPUT_KIND_PASSAGE,
            )
            yield embedder_pb2.EmbedStreamRequest(sequence=sequence, request=request)

    stub: embedder_pb2_grpc.EmbedderServiceAsyncStub = embedder_pb2_grpc.EmbedderServiceStub(
        channel
    )
    async for answer in stub.EmbedStream(sent()):
        if answer.HasField("error"):
            raise RuntimeError(answer.error.message)
