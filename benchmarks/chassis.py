"""What the chassis adds to a call: the same servicer behind it, and behind a bare server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import grpc.aio

from benchmarks.comparison import Comparison, in_turns
from groundmesh.channel import open_channel
from groundmesh.server.app import Service
from groundmesh.server.engine import EngineInfo
from groundmesh.testing import running
from groundmesh.v1 import generator_pb2, generator_pb2_grpc

CALLS = 500
NAME = "groundmesh.v1.GeneratorService"
Request = generator_pb2.GeneratorServiceListModelsRequest
Response = generator_pb2.GeneratorServiceListModelsResponse


async def answer(
    _request: Request, _context: grpc.aio.ServicerContext[Request, Response]
) -> Response:
    """Answer with nothing, so that only the way there and back is measured."""
    return Response()


def register(server: grpc.aio.Server) -> None:
    """Add a service of one method."""
    handler = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=Request.FromString,
        response_serializer=Response.SerializeToString,
    )
    handlers = grpc.method_handlers_generic_handler(NAME, {"ListModels": handler})
    server.add_generic_rpc_handlers((handlers,))


class IdleEngine:
    """An engine that does nothing."""

    async def start(self) -> None:
        """Nothing to start."""

    async def check(self) -> None:
        """Never dead."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def describe(self) -> EngineInfo:
        """Nothing to tell."""
        return EngineInfo("idle", "0", models=(), load={})


@asynccontextmanager
async def bare() -> AsyncIterator[str]:
    """gRPC's own server and nothing else."""
    server = grpc.aio.server()
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def measure() -> list[Comparison]:
    """Unary calls, one after the other, client and server in this process."""
    service = Service(name="idle", engine=IdleEngine(), register=register, grpc_services=(NAME,))
    async with (
        bare() as bare_address,
        running(service) as server,
        grpc.aio.insecure_channel(bare_address) as bare_channel,
        open_channel(server.address) as mesh_channel,
    ):
        mesh_s, bare_s = await in_turns(
            partial(call, mesh_channel), partial(call, bare_channel), units=CALLS
        )
    return [Comparison("a unary call", "groundmesh.server", mesh_s, "bare grpc.aio", bare_s)]


async def call(channel: grpc.aio.Channel) -> None:
    """Call, wait, call again."""
    stub = generator_pb2_grpc.GeneratorServiceStub(channel)
    for _ in range(CALLS):
        await stub.ListModels(Request())
