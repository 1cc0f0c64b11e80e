"""A gateway of the role ``ask`` before fake leaves, all on the production chassis and sockets."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from groundmesh.channel import open_channel, translated
from groundmesh.server.app import Service
from groundmesh.server.running import RunningServer
from groundmesh.testing import running
from groundmesh.v1 import gateway_pb2, gateway_pb2_grpc, mesh_pb2, mesh_pb2_grpc
from groundmesh_gateway.service import gateway_service
from groundmesh_gateway.settings import GatewaySettings
from tests.fakes.leaves import FakeEmbedder, FakeRetriever, chunk
from tests.fakes.paced_generator import PacedBackend, paced_generator

COLLECTION = "tenants/default/collections/docs"
NOWHERE = "127.0.0.1:1"


@dataclass
class GatewayMesh:
    """What a test talks to, and what it looks into."""

    embedder: FakeEmbedder
    retriever: FakeRetriever
    generator: PacedBackend
    servers: dict[str, RunningServer] = field(default_factory=dict)
    stacks: dict[str, AsyncExitStack] = field(default_factory=dict)
    channel: grpc.aio.Channel = field(init=False)

    @property
    def stub(self) -> Any:
        """The gateway's."""
        return gateway_pb2_grpc.GatewayServiceStub(self.channel)

    async def start(self, service: Service, **settings: Any) -> str:
        """Serve one of them; its address."""
        stack = self.stacks[service.name] = AsyncExitStack()
        server = await stack.enter_async_context(running(service, **settings))
        self.servers[service.name] = server
        return server.address

    async def stop(self, name: str) -> int:
        """Stop one of them; the port that it had."""
        await self.stacks[name].aclose()
        return int(self.servers[name].address.rpartition(":")[2])

    async def server_info(self) -> mesh_pb2.GetServerInfoResponse:
        """What the gateway says of itself and of the others."""
        stub: Any = mesh_pb2_grpc.MeshServiceStub(self.channel)
        info: mesh_pb2.GetServerInfoResponse = await stub.GetServerInfo(
            mesh_pb2.GetServerInfoRequest(), timeout=5
        )
        return info

    async def ask(self, question: str = "Why?", **fields: Any) -> list[gateway_pb2.AskResponse]:
        """All events of an answer; ``timeout`` is the call's."""
        timeout = fields.pop("timeout", 20)
        with translated("gateway"):
            call = self.stub.Ask(ask_request(question, **fields), timeout=timeout)
            return [event async for event in call]


def ask_request(question: str = "Why?", **fields: Any) -> gateway_pb2.AskRequest:
    """A right request, but for what is set otherwise."""
    return gateway_pb2.AskRequest(**{"collections": [COLLECTION], "question": question, **fields})


def text_of(events: list[gateway_pb2.AskResponse]) -> str:
    """The answer."""
    return "".join(event.delta.text for event in events if event.HasField("delta"))


@asynccontextmanager
async def gateway_mesh(
    *,
    generator: PacedBackend | None = None,
    min_score: float = 0.0,
    addresses: dict[str, str] | None = None,
    leaf_settings: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[GatewayMesh]:
    """A whole mesh; a leaf that ``addresses`` names is not started but called there.

    ``settings`` are of the gateway's server, ``leaf_settings`` of the others'.
    """
    mesh = GatewayMesh(
        FakeEmbedder(),
        FakeRetriever(chunks=[chunk("Äpfel are sour."), chunk("They grow.", start_byte=20)]),
        generator or PacedBackend(repeat=False),
    )
    leaves = {
        "embedder": mesh.embedder.service(),
        "retriever": mesh.retriever.service(),
        "generator": paced_generator(mesh.generator),
    }
    async with AsyncExitStack() as stack:
        at: dict[str, Any] = {"trainer": NOWHERE, **(addresses or {})}
        for name, service in leaves.items():
            if name not in at:
                at[name] = await mesh.start(service, **(leaf_settings or {}))
                stack.push_async_callback(mesh.stop, name)
        service = gateway_service(GatewaySettings(role="ask", min_score=min_score, **at))
        channel = open_channel(await mesh.start(service, **settings))
        stack.push_async_callback(mesh.stop, "gateway")
        mesh.channel = await stack.enter_async_context(channel)
        yield mesh
