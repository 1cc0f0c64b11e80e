"""What batching the calls of many clients gains: the real embedder, one client and thirty-two."""

import asyncio
from functools import partial

import grpc.aio

from benchmarks.comparison import Comparison, in_turns
from groundmesh.channel import open_channel
from groundmesh.testing import running
from groundmesh.v1 import embedder_pb2, embedder_pb2_grpc
from groundmesh_embedder.backends import open_backend
from groundmesh_embedder.core import Embedder
from groundmesh_embedder.servicer import embedder_service
from groundmesh_embedder.settings import EmbedderSettings

TEXTS = tuple(f"Sentence number {n} says that every call asks for one vector." for n in range(256))
CLIENTS = 32


async def measure() -> list[Comparison]:
    """One text a call in both cases."""
    settings = EmbedderSettings()
    embedder = Embedder(
        engine=settings.backend,
        open_backend=partial(open_backend, settings.backend, settings.backend_options()),
        options=settings.embedder_options(),
    )
    service = embedder_service(embedder, stream_in_flight=settings.stream_in_flight)
    async with running(service) as server, open_channel(server.address) as channel:
        many_s, one_s = await in_turns(
            partial(embed_all, channel, clients=CLIENTS),
            partial(embed_all, channel, clients=1),
            units=len(TEXTS),
        )
    return [Comparison("a text's vector", f"{CLIENTS} clients", many_s, "one client", one_s)]


async def embed_all(channel: grpc.aio.Channel, *, clients: int) -> None:
    """Share the texts out among the clients; each asks for one vector at a time."""
    stub = embedder_pb2_grpc.EmbedderServiceStub(channel)

    async def client(texts: tuple[str, ...]) -> None:
        for text in texts:
            kind = embedder_pb2.INPUT_KIND_PASSAGE
            await stub.Embed(embedder_pb2.EmbedRequest(kind=kind, texts=[text]))

    await asyncio.gather(*(client(TEXTS[number::clients]) for number in range(clients)))
