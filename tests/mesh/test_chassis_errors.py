import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest

from groundmesh.channel import ChannelOptions, open_channel, translated
from groundmesh.errors import (
    BY_CODE,
    DeadlineExceeded,
    FieldViolation,
    Internal,
    InvalidArgument,
    MeshError,
    NotFound,
    Reason,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from groundmesh.testing import running
from tests.mesh.echo import NAME, SHAPES, Echo, call

_RICH: dict[str, Any] = {
    "reason": Reason.CONCURRENT_CHANGE,
    "fields": (FieldViolation("texts[3]", "ist zu lang: 日本"), FieldViolation("k", "negative")),
    "retry_after_s": 1.25,
    "metadata": {"collection": "tenants/default/collections/c"},
}


def failing(error: BaseException) -> Echo:
    async def work(_text: str) -> str:
        raise error

    return Echo(work)


async def error_of(echo: Echo, shape: str, *requests: str | bytes) -> MeshError:
    async with running(echo.service()) as server, open_channel(server.address) as channel:
        with pytest.raises(MeshError) as caught, translated("echo"):
            await call(channel, shape, *requests)
    return caught.value


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cls", BY_CODE.values(), ids=lambda cls: cls.__name__)
async def test_every_error_comes_back_as_itself(cls: type[MeshError], shape: str) -> None:
    sent = cls("что-то не так", **_RICH)
    got = await error_of(failing(sent), shape, "x")
    assert type(got) is cls
    assert got.message == sent.message
    assert got.reason is sent.reason
    assert got.fields == sent.fields
    assert got.retry_after_s == sent.retry_after_s
    assert got.metadata == sent.metadata
    assert got.travelled
    assert not sent.travelled


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x01\xff"])
async def test_bytes_that_are_no_message_are_an_invalid_argument(
    shape: str, garbage: bytes
) -> None:
    error = await error_of(Echo(), shape, garbage)
    assert type(error) is InvalidArgument
    assert error.reason is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("shape", ["ClientStream", "Bidi"])
async def test_garbage_later_in_a_stream_is_an_invalid_argument(shape: str) -> None:
    error = await error_of(Echo(), shape, "fine", b"\xff\xff\xff")
    assert type(error) is InvalidArgument


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_unknown_exception_is_internal_and_only_logged(
    shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = await error_of(failing(KeyError("the secret")), shape, "x")
    assert type(error) is Internal
    assert error.reason is Reason.INTERNAL_ERROR
    assert "secret" not in error.message
    assert "the secret" in caplog.text


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_handler_that_returns_nonsense_is_internal(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nonsense(_text: str) -> str:
        return 7  # type: ignore[return-value]

    assert type(await error_of(Echo(nonsense), shape, "x")) is Internal


async def test_an_error_in_a_task_group_of_the_handler_is_found() -> None:
    async def work(_text: str) -> str:
        async def fails() -> None:
            raise NotFound("no such thing")

        async with asyncio.TaskGroup() as outer:
            outer.create_task(fails())
        return ""

    assert type(await error_of(Echo(work), "Unary", "x")) is NotFound


async def test_a_wait_that_timed_out_inside_is_a_deadline() -> None:
    error = await error_of(failing(TimeoutError()), "Unary", "x")
    assert type(error) is DeadlineExceeded


@pytest.mark.parametrize("shape", SHAPES)
async def test_cancelled_work_with_the_caller_still_there_is_answered(shape: str) -> None:
    error = await error_of(failing(asyncio.CancelledError()), shape, "x")
    assert type(error) is Unavailable
    assert error.reason is Reason.ENGINE_DEAD


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_message_over_the_cap_is_too_large(shape: str) -> None:
    async with (
        running(Echo().service(), max_message_bytes=2000) as server,
        open_channel(server.address) as channel,
    ):
        with pytest.raises(ResourceExhausted) as caught, translated():
            await call(channel, shape, "x" * 3000)
        assert caught.value.reason is Reason.MESSAGE_TOO_LARGE
        # The connection is as good as before.
        assert await call(channel, shape, "x") == ["x"]


async def test_a_message_over_the_clients_own_cap_is_too_large() -> None:
    options = ChannelOptions(max_message_bytes=100)
    async with (
        running(Echo().service()) as server,
        open_channel(server.address, options=options) as channel,
    ):
        with pytest.raises(ResourceExhausted) as caught, translated():
            await call(channel, "Unary", "x" * 3000)
        assert caught.value.reason is Reason.MESSAGE_TOO_LARGE


async def test_very_long_errors_are_cut_and_arrive() -> None:
    sent = InvalidArgument(
        "ж" * 50_000 + "\ud800",
        fields=[FieldViolation(f"texts[{i}]", "日本" * 1000) for i in range(1000)],
        metadata={f"key{i}": "x" * 300 for i in range(100)},
    )
    got = await error_of(failing(sent), "Unary", "x")
    assert type(got) is InvalidArgument
    assert got.message.startswith("жжж")
    assert got.fields[0].field == "texts[0]"


async def test_a_method_nobody_wrote_is_unimplemented() -> None:
    async with running(Echo().service()) as server, open_channel(server.address) as channel:
        for name in ("NotBuilt", "NoSuchMethod"):
            method_: Any = channel.unary_unary(f"/{NAME}/{name}")
            with pytest.raises(Unimplemented), translated():
                await method_(b"")


async def test_a_server_that_is_away_is_named() -> None:
    async with running(Echo().service()) as server:
        address = server.address
    async with open_channel(address) as channel:
        with pytest.raises(Unavailable, match="the embedder can't be reached") as caught:  # noqa: SIM117
            with translated("embedder"):
                await call(channel, "Unary", "x")
    assert caught.value.reason is Reason.SERVICE_UNREACHABLE


async def test_details_of_another_domain_are_no_reason_of_ours() -> None:
    async def proxy(_request: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(
            grpc.StatusCode.NOT_FOUND, "not here", (("grpc-status-details-bin", b"\xff"),)
        )

    plain = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(proxy)
    plain.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(NAME, {"Unary": handler})])
    port = plain.add_insecure_port("127.0.0.1:0")
    await plain.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(NotFound, match="not here"), translated():
            await call(channel, "Unary", "x")
    await plain.stop(None)
