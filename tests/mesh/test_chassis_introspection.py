"""What a server tells those who ask: reflection, channelz, server info, and its log."""

import json
import logging
from collections.abc import AsyncIterator

import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from groundmesh.channel import open_channel, translated
from groundmesh.errors import MeshError, NotFound
from groundmesh.identity import Principal, acting_as
from groundmesh.request_id import carrying
from groundmesh.server.app import Service, serving
from groundmesh.server.logs import JsonFormatter
from groundmesh.server.settings import ServerSettings
from groundmesh.testing import running
from groundmesh.v1 import mesh_pb2, mesh_pb2_grpc
from tests.mesh.echo import NAME, SHAPES, Echo, FakeEngine, call


async def test_reflection_lists_what_is_served_and_describes_it() -> None:
    async def questions() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        yield reflection_pb2.ServerReflectionRequest(
            file_containing_symbol="groundmesh.v1.MeshService"
        )

    async with running(Echo().service()) as server, open_channel(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed, described = [answer async for answer in stub.ServerReflectionInfo(questions())]
    names = {service.name for service in listed.list_services_response.service}
    assert {NAME, "groundmesh.v1.MeshService", "grpc.health.v1.Health"} <= names
    assert described.file_descriptor_response.file_descriptor_proto


async def test_reflection_lists_each_service_once() -> None:
    async def questions() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    bare = Service(
        name="bare",
        engine=FakeEngine(),
        register=lambda _: None,
        grpc_services=("groundmesh.v1.MeshService",),
    )
    async with running(bare) as server, open_channel(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        [listed] = [answer async for answer in stub.ServerReflectionInfo(questions())]
    names = [service.name for service in listed.list_services_response.service]
    assert names.count("groundmesh.v1.MeshService") == 1


async def test_channelz_counts_the_calls() -> None:
    async with running(Echo().service()) as server, open_channel(server.address) as channel:
        await call(channel, "Unary", "x")
        stub = channelz_pb2_grpc.ChannelzStub(channel)
        servers = (await stub.GetServers(channelz_pb2.GetServersRequest())).server
        assert any(one.data.calls_succeeded for one in servers)


async def test_server_info_is_true_before_and_after_the_start() -> None:
    echo = Echo()
    echo.engine.may_start.clear()
    settings = ServerSettings(identity="trusted", drain_pause_s=0.0)
    async with (
        serving(echo.service(), settings) as server,
        open_channel(server.address) as channel,
    ):
        stub = mesh_pb2_grpc.MeshServiceStub(channel)
        early = (await stub.GetServerInfo(mesh_pb2.GetServerInfoRequest())).server
        echo.engine.may_start.set()
        await server.ready()
        late = (await stub.GetServerInfo(mesh_pb2.GetServerInfoRequest())).server
    assert not early.ready
    assert late.ready
    assert (late.service, late.engine, late.engine_version) == ("echo", "fake", "1.2")
    assert list(late.models) == ["m"]
    assert dict(late.load) == {"running": 0.0}
    assert late.version
    assert late.uptime.ToTimedelta() >= early.uptime.ToTimedelta()


async def test_server_info_shows_the_peers_of_a_server_that_has_some() -> None:
    async def peers() -> list[mesh_pb2.PeerInfo]:
        return [mesh_pb2.PeerInfo(service="embedder", address="a:1", error="away")]

    service = Echo().service(peers=peers)
    async with running(service) as server, open_channel(server.address) as channel:
        stub = mesh_pb2_grpc.MeshServiceStub(channel)
        info = await stub.GetServerInfo(mesh_pb2.GetServerInfoRequest())
    assert [peer.service for peer in info.peers] == ["embedder"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_each_call_is_one_line_of_the_access_log_without_its_content(
    shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(text: str) -> str:
        if text == "missing secret":
            raise NotFound("nothing")
        return text

    formatter = JsonFormatter("echo")
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    handler = Keep()
    access = logging.getLogger("groundmesh.access")
    access.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "groundmesh.access"):
            async with (
                running(Echo(work).service(), identity="trusted") as server,
                open_channel(server.address) as channel,
            ):
                with acting_as(Principal("acme", "a", frozenset())), carrying("req-1"):
                    await call(channel, shape, "the secret")
                    with pytest.raises(MeshError), translated():
                        await call(channel, shape, "missing secret")
    finally:
        access.removeHandler(handler)
    fine, failed = (json.loads(line) for line in lines)
    assert fine["method"] == f"/{NAME}/{shape}"
    assert (fine["code"], failed["code"]) == ("OK", "NOT_FOUND")
    assert fine["tenant"] == "acme"
    assert fine["request_id"] == failed["request_id"] == "req-1"
    assert 0 <= fine["duration_ms"] < 10_000
    assert "secret" not in "".join(lines)
