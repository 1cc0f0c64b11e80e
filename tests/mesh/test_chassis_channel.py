"""Retries, balancing and TLS of channels."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import trustme

from groundmesh.channel import ChannelOptions, open_channel, service_config, translated
from groundmesh.errors import (
    FailedPrecondition,
    InvalidArgument,
    Reason,
    Unavailable,
)
from groundmesh.server.app import Service, serving
from groundmesh.server.settings import ServerSettings
from groundmesh.testing import running
from groundmesh.v1 import (
    collection_pb2,
    document_pb2,
    embedder_pb2,
    embedder_pb2_grpc,
    gateway_pb2,
    generator_pb2,
    mesh_pb2,
    retriever_pb2,
)
from tests.mesh.echo import NAME, Echo, FakeEngine, call

_FILES = (
    collection_pb2,
    document_pb2,
    embedder_pb2,
    gateway_pb2,
    generator_pb2,
    mesh_pb2,
    retriever_pb2,
)


# ----------------------------------------------------------------------------------- retries


def test_only_unary_reads_that_exist_are_retried() -> None:
    services = {
        service.full_name: service
        for file in _FILES
        for service in file.DESCRIPTOR.services_by_name.values()
    }
    config: Any = service_config()
    (methods,) = config["methodConfig"]
    assert methods["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    for name in methods["name"]:
        method = services[name["service"]].methods_by_name[name["method"]]
        assert not method.server_streaming
        assert not method.client_streaming
        assert not method.name.startswith(("Create", "Update", "Delete", "Begin", "Commit"))


class FlakyEmbedder:
    """Lists no models, after a number of failures; ``onward`` asks another one first."""

    def __init__(self, *errors: Exception, onward: grpc.aio.Channel | None = None) -> None:
        self.errors = list(errors)
        self.onward = onward
        self.calls = 0

    async def list_models(
        self, _request: object, _context: object
    ) -> embedder_pb2.EmbedderServiceListModelsResponse:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.onward is not None:
            await list_models(self.onward)
        return embedder_pb2.EmbedderServiceListModelsResponse()

    def _register(self, server: grpc.aio.Server) -> None:
        servicer: Any = embedder_pb2_grpc.EmbedderServiceServicer
        servicer = servicer()
        servicer.ListModels = self.list_models
        embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(servicer, server)

    def service(self) -> Service:
        return Service(
            name="embedder",
            engine=FakeEngine(),
            register=self._register,
            grpc_services=("groundmesh.v1.EmbedderService",),
        )


async def list_models(channel: grpc.aio.Channel) -> None:
    stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
    with translated("embedder"):
        await stub.ListModels(embedder_pb2.EmbedderServiceListModelsRequest())


async def test_a_listed_method_is_retried_when_unavailable() -> None:
    flaky = FlakyEmbedder(Unavailable("one"), Unavailable("two"))
    async with running(flaky.service()) as server, open_channel(server.address) as channel:
        await list_models(channel)
    assert flaky.calls == 3


async def test_retries_end() -> None:
    flaky = FlakyEmbedder(*[Unavailable(f"{i}") for i in range(10)])
    async with running(flaky.service()) as server, open_channel(server.address) as channel:
        with pytest.raises(Unavailable):
            await list_models(channel)
    assert flaky.calls == 4


async def test_no_other_error_is_retried() -> None:
    flaky = FlakyEmbedder(FailedPrecondition("no"))
    async with running(flaky.service()) as server, open_channel(server.address) as channel:
        with pytest.raises(FailedPrecondition):
            await list_models(channel)
    assert flaky.calls == 1


async def test_a_method_that_is_not_listed_is_not_retried() -> None:
    calls = 0

    async def work(_text: str) -> str:
        nonlocal calls
        calls += 1
        raise Unavailable("away")

    async with running(Echo(work).service()) as server, open_channel(server.address) as channel:
        with pytest.raises(Unavailable), translated():
            await call(channel, "Unary", "x")
    assert calls == 1


async def test_what_one_hop_has_retried_the_next_one_does_not() -> None:
    inner = FlakyEmbedder(*[Unavailable(f"{i}") for i in range(100)])
    async with running(inner.service()) as below, open_channel(below.address) as onward:
        outer = FlakyEmbedder(onward=onward)
        async with running(outer.service()) as server, open_channel(server.address) as channel:
            with pytest.raises(Unavailable):
                await list_models(channel)
    assert outer.calls == 1
    assert inner.calls == 4


# ----------------------------------------------------------------------------------- outages


@pytest.mark.parametrize("health_service", [None, NAME])
async def test_calls_to_a_server_that_is_away_fail_at_once_and_find_it_again(
    health_service: str | None,
) -> None:
    async with running(Echo().service()) as server:
        address = server.address
    async with open_channel(
        address, options=ChannelOptions(health_service=health_service)
    ) as channel:
        with pytest.raises(Unavailable) as caught, translated("echo"):
            await call(channel, "Unary", "x")
        assert caught.value.reason is Reason.SERVICE_UNREACHABLE
        port = int(address.rpartition(":")[2])
        async with running(Echo().service(), port=port):
            async with asyncio.timeout(5):
                assert await call(channel, "Unary", "x", wait_for_ready=True) == ["x"]


async def test_calls_are_spread_over_all_addresses_and_survive_the_loss_of_one() -> None:
    async def one(_text: str) -> str:
        return "one"

    async def two(_text: str) -> str:
        return "two"

    async with running(Echo(one).service()) as first:
        second_context = running(Echo(two).service())
        second = await second_context.__aenter__()
        target = f"ipv4:{first.address},{second.address}"
        async with open_channel(target) as channel:
            answers = set[str]()
            async with asyncio.timeout(5):
                while answers != {"one", "two"}:
                    answers |= set(await call(channel, "Unary", "x"))
            await second_context.__aexit__(None, None, None)
            assert {(await call(channel, "Unary", "x"))[0] for _ in range(20)} == {"one"}


async def test_a_channel_is_not_led_astray_by_a_web_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    async with running(Echo().service()) as server, open_channel(server.address) as channel:
        assert await call(channel, "Unary", "x") == ["x"]


# --------------------------------------------------------------------------------------- TLS


class Certificates:
    """A certificate authority, and the files of a server and of a client."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.folder = folder
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)
        self.server = self.issue("server")
        self.client = self.issue("client")

    def issue(self, name: str) -> tuple[Path, Path]:
        issued = self._authority.issue_cert("localhost", "127.0.0.1")
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return cert, key

    def settings(self, *, mutual: bool = False) -> dict[str, Path]:
        cert, key = self.server
        return {"tls_cert": cert, "tls_key": key} | ({"tls_client_ca": self.ca} if mutual else {})


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def test_tls(certificates: Certificates) -> None:
    options = ChannelOptions(tls_ca=certificates.ca)
    async with running(Echo().service(), **certificates.settings()) as server:
        async with open_channel(server.address, options=options) as channel:
            assert await call(channel, "Unary", "x") == ["x"]
        for wrong in (ChannelOptions(), ChannelOptions(tls=True)):
            async with open_channel(server.address, options=wrong) as channel:
                with pytest.raises(Unavailable), translated():
                    await call(channel, "Unary", "x")


async def test_mutual_tls_takes_only_callers_with_a_certificate(certificates: Certificates) -> None:
    cert, key = certificates.client
    known = ChannelOptions(tls_ca=certificates.ca, tls_cert=cert, tls_key=key)
    unknown = ChannelOptions(tls_ca=certificates.ca)
    async with running(Echo().service(), **certificates.settings(mutual=True)) as server:
        async with open_channel(server.address, options=known) as channel:
            assert await call(channel, "Unary", "x") == ["x"]
        async with open_channel(server.address, options=unknown) as channel:
            with pytest.raises(Unavailable), translated():
                await call(channel, "Unary", "x")


async def certificate_of(address: str) -> str:
    host, _, port = address.rpartition(":")
    return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))


async def test_changed_files_are_taken_up_and_broken_ones_are_not(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(Echo().service(), **certificates.settings()) as server:
        first = await certificate_of(server.address)
        certificates.issue("server")
        second = await certificate_of(server.address)
        assert second != first
        certificates.server[1].write_text("half a key")
        assert await certificate_of(server.address) == second
        assert "can't be used" in caplog.text
        certificates.issue("server")
        assert await certificate_of(server.address) not in (first, second)


async def test_bad_tls_files_are_refused_plainly(tmp_path: Path) -> None:
    missing = ServerSettings(tls_cert=tmp_path / "no.pem", tls_key=tmp_path / "no.key")
    with pytest.raises(FailedPrecondition, match="TLS files"):
        async with serving(Echo().service(), missing):
            pass
    with pytest.raises(InvalidArgument, match="needs its key"):
        open_channel("localhost:1", options=ChannelOptions(tls_cert=tmp_path / "c.pem"))
