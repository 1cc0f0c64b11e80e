"""Bad input to every RPC: refused in the caller's terms, never INTERNAL or UNKNOWN.

The servers are the production ones with their real cores, on backends without a model.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings

from groundmesh.errors import Code, InvalidArgument, MeshError, Reason
from groundmesh.first_status import FirstStatus
from groundmesh.status import from_rpc_error
from groundmesh.testing import running
from groundmesh.v1 import (
    collection_pb2,
    document_pb2,
    embedder_pb2,
    gateway_pb2,
    generator_pb2,
    mesh_pb2,
    retriever_pb2,
)
from groundmesh_embedder.core import Embedder, EmbedderOptions
from groundmesh_embedder.servicer import embedder_service
from groundmesh_gateway.service import gateway_service
from groundmesh_gateway.settings import GatewaySettings
from groundmesh_retriever.core import Retriever
from groundmesh_retriever.servicer import retriever_service
from tests.fakes.embedding import FakeEmbeddingBackend
from tests.fakes.paced_generator import PacedBackend, paced_generator
from tests.fakes.vector_store import FakeVectorStore
from tests.mesh.gateway_mesh import NOWHERE
from tests.mesh.nasty import COLLECTION, requests
from tests.mesh.retriever_mesh import options

RETRIEVER_FILES = (collection_pb2, document_pb2)
SERVED = {
    "embedder": (embedder_pb2, mesh_pb2),
    "retriever": (retriever_pb2, *RETRIEVER_FILES, mesh_pb2),
    "generator": (generator_pb2, mesh_pb2),
    "gateway": (gateway_pb2, *RETRIEVER_FILES, mesh_pb2),
}
METHODS = [
    (server, method)
    for server, files in SERVED.items()
    for file in files
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
EXAMPLES = 80
RANDOM_BYTES = 50
TIMEOUT_S = 20.0

ANSWERS = {
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.ALREADY_EXISTS,
    Code.PERMISSION_DENIED,
    Code.FAILED_PRECONDITION,
    Code.RESOURCE_EXHAUSTED,
    Code.UNIMPLEMENTED,
}
"""What bad input may be answered with, beside OK."""


def named(value: tuple[str, MethodDescriptor]) -> str:
    server, method = value
    return f"{server}-{method.containing_service.name}.{method.name}"


@dataclass
class Servers:
    """All four, with an event loop that runs while a call is made."""

    runner: asyncio.Runner
    channels: dict[str, grpc.aio.Channel]

    def call(
        self, server: str, method: MethodDescriptor, sent: Sequence[bytes]
    ) -> MeshError | None:
        """Send bytes to a method; the error that it ended with."""
        return self.runner.run(call(self.channels[server], method, sent))


async def call(
    channel: grpc.aio.Channel, method: MethodDescriptor, sent: Sequence[bytes]
) -> MeshError | None:
    """The error that a call ended with; None when it was answered."""
    shape = f"{_shape(method.client_streaming)}_{_shape(method.server_streaming)}"
    path = f"/{method.containing_service.full_name}/{method.name}"
    request: Any = _stream(sent) if method.client_streaming else sent[0]
    started = getattr(channel, shape)(path)(request, timeout=TIMEOUT_S)
    try:
        with FirstStatus(started):
            if method.server_streaming:
                async for _ in started:
                    pass
            else:
                await started
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    return None


def _shape(is_stream: bool) -> str:
    return "stream" if is_stream else "unary"


async def _stream(sent: Sequence[bytes]) -> AsyncIterator[bytes]:
    for each in sent:
        yield each


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[dict[str, grpc.aio.Channel]]:
    """Channels to the four servers, by name."""
    backend = FakeEmbeddingBackend()
    embedding = EmbedderOptions(model="tiny", reranker="judge")
    retriever = Retriever(FakeVectorStore(), options(folder), engine="memory")
    services = {
        "embedder": embedder_service(
            Embedder("fake", lambda: backend, embedding), stream_in_flight=4
        ),
        "retriever": retriever_service(retriever),
        "generator": paced_generator(PacedBackend(repeat=False)),
    }
    async with AsyncExitStack() as stack:
        stack.callback(backend.release)
        at: dict[str, Any] = {}
        for name, service in services.items():
            at[name] = (await stack.enter_async_context(running(service))).address
        gateway = gateway_service(GatewaySettings(trainer=NOWHERE, **at))
        at["gateway"] = (await stack.enter_async_context(running(gateway))).address
        unbounded = (("grpc.max_send_message_length", -1),)
        channels = {
            name: await stack.enter_async_context(
                grpc.aio.insecure_channel(address, options=unbounded)
            )
            for name, address in at.items()
        }
        yield channels


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with asyncio.Runner() as runner:
        started_servers = started(tmp_path_factory.mktemp("retriever"))
        channels = runner.run(started_servers.__aenter__())
        yield Servers(runner, channels)
        runner.run(started_servers.__aexit__(None, None, None))


@pytest.fixture(autouse=True)
def no_leaked_tasks() -> None:
    """These servers outlive each test here."""


@pytest.fixture
def collection(servers: Servers) -> None:
    """The collection that right names name, with a document in it, whatever a test did to it."""
    begin = gateway_pb2.IngestBegin(parent=COLLECTION, create_collection=True)
    document = gateway_pb2.IngestDocument(uri="file:///known.md")
    steps = [
        gateway_pb2.IngestRequest(begin=begin),
        gateway_pb2.IngestRequest(document=document),
        gateway_pb2.IngestRequest(part=b"# Why\n\nThis is why."),
        gateway_pb2.IngestRequest(end=gateway_pb2.IngestEnd()),
    ]
    ingest = next(method for _, method in METHODS if method.name == "Ingest")
    error = servers.call("gateway", ingest, [step.SerializeToString() for step in steps])
    assert error is None


def check(error: MeshError | None, sent: object) -> None:
    """An answer, or a refusal in the caller's terms."""
    if error is None:
        return
    assert error.code in ANSWERS, f"{error.code.name}: {error.message}\n{sent}"
    if isinstance(error, InvalidArgument):
        is_named = bool(error.fields) or error.reason is Reason.MALFORMED_REQUEST
        assert is_named, f"{error.message} names no field\n{sent}"


@pytest.mark.parametrize("served", METHODS, ids=named)
@pytest.mark.usefixtures("collection")
def test_any_message_is_answered_in_the_callers_terms(
    servers: Servers, served: tuple[str, MethodDescriptor]
) -> None:
    server, method = served

    @settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(requests(method))
    def any_message(sent: list[Any]) -> None:
        error = servers.call(server, method, [each.SerializeToString() for each in sent])
        check(error, sent)

    any_message()


@pytest.mark.parametrize("served", METHODS, ids=named)
def test_bytes_that_are_no_message_are_malformed(
    servers: Servers, served: tuple[str, MethodDescriptor]
) -> None:
    server, method = served
    chance = random.Random(method.full_name)
    kind = GetMessageClass(method.input_type)
    for _ in range(RANDOM_BYTES):
        sent = chance.randbytes(chance.randrange(1, 200))
        error = servers.call(server, method, [sent])
        if _parses(kind, sent):
            check(error, sent)
        else:
            assert error is not None
            assert error.reason is Reason.MALFORMED_REQUEST, f"{error.message}\n{sent!r}"


def _parses(kind: Any, sent: bytes) -> bool:
    try:
        kind.FromString(sent)
    except Exception:  # noqa: BLE001 - protobuf raises more than its own DecodeError
        return False
    return True


@pytest.mark.parametrize("server", SERVED)
def test_a_message_of_100_mb_is_refused(servers: Servers, server: str) -> None:
    for method in _one_of_each_shape(server):
        error = servers.call(server, method, [bytes(100_000_000)])
        assert error is not None
        assert error.code is Code.RESOURCE_EXHAUSTED, f"{named((server, method))}: {error.message}"


def _one_of_each_shape(server: str) -> list[MethodDescriptor]:
    found = {
        (method.client_streaming, method.server_streaming): method
        for name, method in METHODS
        if name == server
    }
    return list(found.values())
