"""Health, drain and the end of engines."""

import asyncio
import logging
import time

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from groundmesh.channel import ChannelOptions, open_channel, translated
from groundmesh.errors import FailedPrecondition, MeshError, Reason, Unavailable
from groundmesh.server.app import serving
from groundmesh.server.settings import ServerSettings
from groundmesh.testing import running
from tests.mesh.echo import NAME, SHAPES, Echo, call, open_call
from tests.waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
FAST = ServerSettings(drain_pause_s=0.0, drain_grace_s=1.0)


async def health_of(channel: grpc.aio.Channel, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    response: health_pb2.HealthCheckResponse = await stub.Check(
        health_pb2.HealthCheckRequest(service=service)
    )
    status: int = response.status
    return status


def endless() -> Echo:
    async def work(_text: str) -> str:
        await asyncio.Event().wait()
        return ""

    return Echo(work)


async def test_it_is_alive_at_once_and_ready_when_the_engine_has_answered() -> None:
    echo = Echo()
    echo.engine.may_start.clear()
    async with serving(echo.service(), FAST) as server, open_channel(server.address) as channel:
        assert await health_of(channel, "") == SERVING
        assert await health_of(channel, NAME) == NOT_SERVING
        for shape in SHAPES:
            with pytest.raises(Unavailable) as caught, translated():
                await call(channel, shape, "x")
            assert caught.value.reason is Reason.NOT_READY
        echo.engine.may_start.set()
        await server.ready()
        assert await health_of(channel, NAME) == SERVING
        assert await call(channel, "Unary", "x") == ["x"]


async def test_an_engine_that_can_not_start_says_why(caplog: pytest.LogCaptureFixture) -> None:
    echo = Echo()
    echo.engine.start_error = FailedPrecondition("no model at /nowhere")
    async with serving(echo.service(), FAST) as server:
        with pytest.raises(FailedPrecondition, match="no model at /nowhere"):
            await server.ready()
        assert await server.over() is echo.engine.start_error
    assert "no model at /nowhere" in caplog.text
    assert "Traceback" not in caplog.text
    assert echo.engine.stops == 1


async def test_a_bug_in_an_engines_start_is_logged_in_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    echo = Echo()
    echo.engine.start_error = KeyError("weights")
    async with serving(echo.service(), FAST) as server:
        with pytest.raises(MeshError, match="weights"):
            await server.ready()
    assert "Traceback" in caplog.text


async def test_a_dead_engine_ends_the_server() -> None:
    echo = Echo()
    async with (
        running(echo.service(), engine_check_interval_s=0.02) as server,
        open_channel(server.address) as channel,
    ):
        echo.engine.check_error = Unavailable("worker 3 has died", reason=Reason.ENGINE_DEAD)
        assert await server.over() is echo.engine.check_error
        assert await health_of(channel, NAME) == NOT_SERVING
        assert await health_of(channel, "") == SERVING
        with pytest.raises(Unavailable) as caught, translated():
            await call(channel, "Unary", "x")
        assert caught.value.reason is Reason.ENGINE_DEAD


async def test_an_engine_that_hangs_in_its_check_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    echo = Echo()
    limits = {"engine_check_interval_s": 0.02, "engine_check_timeout_s": 0.05}
    async with running(echo.service(), **limits) as server:
        monkeypatch.setattr(echo.engine, "check", asyncio.Event().wait)
        error = await server.over()
        assert isinstance(error, Unavailable)
        assert error.reason is Reason.ENGINE_DEAD


async def test_who_waits_for_a_dead_engine_is_told_at_once() -> None:
    echo = endless()
    async with (
        running(echo.service(), engine_check_interval_s=0.1, drain_grace_s=60) as server,
        open_channel(server.address) as channel,
    ):
        calls = [asyncio.ensure_future(call(channel, shape, "x")) for shape in SHAPES]
        await asyncio.sleep(0.05)
        echo.engine.check_error = Unavailable("it hangs", reason=Reason.ENGINE_DEAD)
        for pending in calls:
            with pytest.raises(Unavailable) as caught, translated():
                await asyncio.wait_for(pending, 5)
            assert caught.value.reason is Reason.ENGINE_DEAD


async def test_stopping_while_the_engine_starts() -> None:
    echo = Echo()
    echo.engine.may_start.clear()
    async with serving(echo.service(), FAST) as server:
        server.stop()
        assert await server.over() is None
        with pytest.raises(Unavailable):
            await server.ready()
    assert echo.engine.stops == 1


async def test_a_drain_says_not_serving_first_and_loses_no_call() -> None:
    async def work(text: str) -> str:
        await asyncio.sleep(0.05)
        return text

    echo = Echo(work)
    context = running(echo.service(), drain_pause_s=0.3, drain_grace_s=5)
    server = await context.__aenter__()
    async with open_channel(server.address) as channel:
        await call(channel, "Unary", "connect")
        draining = asyncio.ensure_future(context.__aexit__(None, None, None))
        await asyncio.sleep(0.05)
        assert await health_of(channel, NAME) == NOT_SERVING
        late = [asyncio.ensure_future(call(channel, shape, "x")) for shape in SHAPES]
        assert await asyncio.gather(*late) == [["x"]] * 4
        await draining
        with pytest.raises(Unavailable), translated():
            await call(channel, "Unary", "x")
    assert echo.engine.stops == 1


async def test_calls_that_outlast_the_grace_are_told() -> None:
    echo = endless()
    context = running(echo.service(), drain_grace_s=0.1)
    server = await context.__aenter__()
    async with open_channel(server.address) as channel:
        calls = [asyncio.ensure_future(call(channel, shape, "x")) for shape in SHAPES]
        await asyncio.sleep(0.1)
        since = time.monotonic()
        await context.__aexit__(None, None, None)
        assert time.monotonic() - since < 5
        for pending in calls:
            with pytest.raises(Unavailable) as caught, translated():
                await pending
            assert caught.value.reason is Reason.DRAINING


async def test_a_watch_of_the_health_does_not_hold_up_the_end() -> None:
    context = running(Echo().service(), drain_grace_s=10)
    server = await context.__aenter__()
    async with open_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=NAME)
        )
        assert (await watch.read()).status == SERVING
        since = time.monotonic()
        await context.__aexit__(None, None, None)
        assert time.monotonic() - since < 5
        assert (await watch.read()).status == NOT_SERVING


async def test_an_engine_that_stops_badly_is_left_behind(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop() -> None:
        raise OSError("busy")

    echo = Echo()
    monkeypatch.setattr(echo.engine, "stop", stop)
    async with running(echo.service()):
        pass
    assert "the engine did not stop well" in caplog.text


async def test_a_second_server_on_a_taken_port_says_so() -> None:
    async with running(Echo().service()) as server:
        port = int(server.address.rpartition(":")[2])
        with pytest.raises(FailedPrecondition, match=f"127.0.0.1:{port}"):
            async with serving(Echo().service(), ServerSettings(port=port)):
                pass


@pytest.mark.parametrize(
    ("identity", "said"), [("local", "with all rights"), ("trusted", "may act for anybody")]
)
async def test_a_port_open_to_a_network_without_mtls_is_warned_of(
    identity: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(Echo().service(), identity=identity):
        assert said not in caplog.text
    async with running(Echo().service(), identity=identity, host="0.0.0.0"):
        assert said in caplog.text


@pytest.mark.parametrize("health_service", [None, NAME])
async def test_connections_that_come_of_age_lose_no_call(health_service: str | None) -> None:
    options = ChannelOptions(health_service=health_service)
    async with (
        running(Echo().service(), max_connection_age_s=1) as server,
        open_channel(server.address, options=options) as channel,
    ):
        end = time.monotonic() + 2.5
        answers = 0
        while time.monotonic() < end:
            assert await call(channel, SHAPES[answers % 4], "x") == ["x"]
            answers += 1
    assert answers > 100


async def test_a_channel_that_watches_health_calls_nobody_who_is_not_ready() -> None:
    echo = Echo()
    options = ChannelOptions(health_service=NAME)
    async with (
        running(echo.service(), engine_check_interval_s=0.02) as server,
        open_channel(server.address, options=options) as channel,
    ):
        assert await call(channel, "Unary", "x", wait_for_ready=True, timeout=5) == ["x"]
        echo.engine.check_error = Unavailable("dead")
        await server.over()
        await until(lambda: channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE)
        with pytest.raises(Unavailable, match="the echo is not ready") as told, translated("echo"):
            await call(channel, "Unary", "x")
        assert told.value.reason is Reason.NOT_READY


async def test_probes_are_answered_with_every_slot_taken(caplog: pytest.LogCaptureFixture) -> None:
    echo = endless()
    limits = {"max_concurrent_calls": 1, "max_queued_calls": 0}
    async with (
        running(echo.service(), **limits) as server,
        open_channel(server.address) as channel,
    ):
        busy = open_call(channel, "Unary", "x")
        await asyncio.sleep(0.05)
        assert await health_of(channel, NAME) == SERVING
        with caplog.at_level(logging.INFO):
            busy.cancel()
            await until(lambda: "Unary CANCELLED" in caplog.text)
