"""Cancellation, deadlines, identity and admission around handlers, over the wire."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from groundmesh.channel import open_channel, translated
from groundmesh.deadline import remaining, within
from groundmesh.errors import (
    DeadlineExceeded,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
)
from groundmesh.identity import Principal, acting_as, current_principal
from groundmesh.names import CollectionName
from groundmesh.request_id import carrying, current_request_id
from groundmesh.testing import running
from tests.mesh.echo import SHAPES, Echo, call, method, open_call
from tests.waiting import until

ALICE = Principal("acme", "alice@acme", frozenset({"hr", "größe"}))


class Gate:
    """Work that runs until it is let go, and remembers how it ended."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.open = asyncio.Event()
        self.echo = Echo(self._work, times=3)

    async def _work(self, text: str) -> str:
        self.begun += 1
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return text


# ------------------------------------------------------------------------------ cancellation


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_caller_that_leaves_cancels_the_handler(shape: str) -> None:
    gate = Gate()
    async with running(gate.echo.service()) as server, open_channel(server.address) as channel:
        opened = open_call(channel, shape, "x")
        reading = asyncio.ensure_future(anext(aiter(opened)) if hasattr(opened, "read") else opened)
        await until(lambda: gate.begun)
        opened.cancel()
        await until(lambda: gate.cancelled)
        assert "end of requests" not in gate.echo.log
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_a_generator_cancelled_between_two_messages_is_closed_at_once() -> None:
    echo = Echo(times=1_000_000)
    async with running(echo.service()) as server, open_channel(server.address) as channel:
        opened = open_call(channel, "ServerStream", "x" * 10_000)
        assert await opened.read()  # the server now waits until this side reads on
        await asyncio.sleep(0.05)
        assert echo.log == []
        opened.cancel()
        await until(lambda: echo.log == ["closed"])


async def _one_then_silence() -> AsyncIterator[StringValue]:
    yield StringValue(value="x")
    await asyncio.Event().wait()


@pytest.mark.parametrize("shape", ["ClientStream", "Bidi"])
async def test_half_a_stream_is_never_taken_for_a_whole_one(shape: str) -> None:
    seen = asyncio.Event()

    async def work(text: str) -> str:
        seen.set()
        return text

    echo = Echo(work)
    async with running(echo.service()) as server, open_channel(server.address) as channel:
        make = channel.stream_unary if shape == "ClientStream" else channel.stream_stream
        method_: Any = make(method(shape), request_serializer=StringValue.SerializeToString)
        for _ in range(50):
            seen.clear()
            opened = method_(_one_then_silence())
            await seen.wait()
            opened.cancel()
        await asyncio.sleep(0.05)
    assert "end of requests" not in echo.log


# --------------------------------------------------------------------------------- deadlines


async def test_the_deadline_of_the_caller_is_known_and_ends_the_work() -> None:
    seen: list[float | None] = []

    async def work(_text: str) -> str:
        seen.append(remaining())
        await asyncio.sleep(30)
        return ""

    async with running(Echo(work).service()) as server, open_channel(server.address) as channel:
        since = time.monotonic()
        with pytest.raises(DeadlineExceeded), translated():
            await call(channel, "Unary", "x", timeout=1)
        assert time.monotonic() - since < 5
    assert seen[0] is not None
    assert 0.3 < seen[0] < 1.1


@pytest.mark.parametrize("shape", ["Unary", "ServerStream"])
async def test_a_call_without_a_deadline_gets_the_default(shape: str) -> None:
    gate = Gate()
    async with (
        running(gate.echo.service(), default_deadline_s=0.2) as server,
        open_channel(server.address) as channel,
    ):
        with pytest.raises(DeadlineExceeded), translated():
            await call(channel, shape, "x")
    assert gate.cancelled == 1


@pytest.mark.parametrize("shape", ["ClientStream", "Bidi"])
async def test_a_stream_of_requests_has_no_deadline_unless_it_brings_one(shape: str) -> None:
    async def work(_text: str) -> str:
        await asyncio.sleep(0.3)
        return str(remaining())

    async with (
        running(Echo(work).service(), default_deadline_s=0.1) as server,
        open_channel(server.address) as channel,
    ):
        assert await call(channel, shape, "x") == ["None"]
        with pytest.raises(DeadlineExceeded), translated():
            await call(channel, shape, "x", timeout=0.1)


async def test_a_deadline_in_the_middle_of_the_first_response_is_told() -> None:
    async def work(text: str) -> str:
        time.sleep(0.15)  # noqa: ASYNC251 - so that the time is over when the loop runs again
        return text

    async with (
        running(Echo(work).service(), default_deadline_s=0.1) as server,
        open_channel(server.address) as channel,
    ):
        with pytest.raises(DeadlineExceeded), translated():
            async with asyncio.timeout(5):
                await call(channel, "ServerStream", "x")


async def test_each_hop_gets_what_is_left_less_a_margin() -> None:
    async def left(_text: str) -> str:
        return str(remaining())

    async with running(Echo(left).service()) as inner, open_channel(inner.address) as onward:

        async def forward(text: str) -> str:
            return (await call(onward, "Unary", text))[0]

        async with running(Echo(forward).service()) as outer, open_channel(outer.address) as first:
            (answer,) = await call(first, "Unary", "x", timeout=5)
            assert 4.5 < float(answer) < 4.96
        with within(2):
            (answer,) = await call(onward, "Unary", "x", timeout=60)
            assert 1.5 < float(answer) < 1.96


# ---------------------------------------------------------------------------------- identity


async def _who(_text: str) -> str:
    principal = current_principal()
    labels = ",".join(sorted(principal.labels))
    return f"{principal.tenant} {principal.subject} {labels} {current_request_id()}"


@pytest.mark.parametrize("shape", SHAPES)
async def test_principal_and_request_id_travel_from_hop_to_hop(shape: str) -> None:
    async with (
        running(Echo(_who).service(), identity="trusted") as inner,
        open_channel(inner.address) as onward,
    ):

        async def forward(text: str) -> str:
            return (await call(onward, shape, text))[0]

        async with (
            running(Echo(forward).service(), identity="trusted") as outer,
            open_channel(outer.address) as first,
        ):
            with acting_as(ALICE), carrying("req-7"):
                answer = await call(first, shape, "x")
    assert answer == ["acme alice@acme größe,hr req-7"]


async def test_a_laptop_ignores_what_a_caller_claims_to_be() -> None:
    async with running(Echo(_who).service()) as server, open_channel(server.address) as channel:
        with acting_as(ALICE):
            (answer,) = await call(channel, "Unary", "x")
    assert answer.startswith("default local * ")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("x-groundmesh-principal-tenant-bin", b"acme"),),
        (
            ("x-groundmesh-principal-tenant-bin", b'acme" or true'),
            ("x-groundmesh-principal-subject-bin", b"s"),
            ("x-groundmesh-principal-labels-bin", b""),
        ),
        (
            ("x-groundmesh-principal-tenant-bin", b"\xff"),
            ("x-groundmesh-principal-subject-bin", b"s"),
            ("x-groundmesh-principal-labels-bin", b""),
        ),
    ],
    ids=["none", "half", "injected", "not utf-8"],
)
async def test_trusted_takes_no_call_without_a_whole_principal(
    shape: str, metadata: tuple[tuple[str, bytes], ...]
) -> None:
    echo = Echo()
    async with (
        running(echo.service(), identity="trusted") as server,
        open_channel(server.address) as channel,
    ):
        with pytest.raises(Unauthenticated), translated():
            await call(channel, shape, "x", metadata=metadata)
    assert echo.log == []


async def test_another_tenants_name_is_refused() -> None:
    async def work(text: str) -> str:
        CollectionName.parse(text, field="name").check_tenant(current_principal())
        return "mine"

    async with (
        running(Echo(work).service(), identity="trusted") as server,
        open_channel(server.address) as channel,
    ):
        with acting_as(ALICE), translated():
            assert await call(channel, "Unary", "tenants/acme/collections/c") == ["mine"]
            with pytest.raises(PermissionDenied), translated():
                await call(channel, "Unary", "tenants/other/collections/c")


# --------------------------------------------------------------------------------- admission


async def test_past_the_bounds_calls_are_refused_at_once_and_told_when_to_retry() -> None:
    gate = Gate()
    limits = {"max_concurrent_calls": 2, "max_queued_calls": 3}
    async with (
        running(gate.echo.service(), **limits) as server,
        open_channel(server.address) as channel,
    ):
        calls = [asyncio.ensure_future(call(channel, "Unary", str(i))) for i in range(5)]
        await until(lambda: gate.begun == 2)
        await asyncio.sleep(0.05)
        since = time.monotonic()
        with pytest.raises(ResourceExhausted) as caught, translated():
            await call(channel, "ServerStream", "one too many")
        assert time.monotonic() - since < 5
        assert caught.value.retry_after_s is not None
        assert gate.begun == 2
        gate.open.set()
        assert sorted(await asyncio.gather(*calls)) == [[str(i)] for i in range(5)]


async def test_a_queued_call_that_leaves_or_expires_gives_its_place_back() -> None:
    gate = Gate()
    limits = {"max_concurrent_calls": 1, "max_queued_calls": 1}
    async with (
        running(gate.echo.service(), **limits) as server,
        open_channel(server.address) as channel,
    ):
        first = asyncio.ensure_future(call(channel, "Unary", "first"))
        await until(lambda: gate.begun == 1)
        with pytest.raises(DeadlineExceeded), translated():
            await call(channel, "Unary", "expires", timeout=0.1)
        leaves = asyncio.ensure_future(call(channel, "Unary", "leaves"))
        await asyncio.sleep(0.1)
        leaves.cancel()
        await asyncio.sleep(0.1)
        last = asyncio.ensure_future(call(channel, "Unary", "last"))
        await asyncio.sleep(0.1)
        gate.open.set()
        assert (await first, await last) == (["first"], ["last"])
        assert gate.begun == 2


async def test_open_streams_starve_nobody_and_are_bounded_themselves() -> None:
    gate = Gate()
    limits = {"max_concurrent_calls": 1, "max_open_streams": 2}
    async with (
        running(gate.echo.service(), **limits) as server,
        open_channel(server.address) as channel,
    ):
        streams = [asyncio.ensure_future(call(channel, "Bidi", "s")) for _ in range(2)]
        await until(lambda: gate.begun == 2)
        with pytest.raises(ResourceExhausted), translated():
            await call(channel, "ClientStream", "one too many")
        unary = asyncio.ensure_future(call(channel, "Unary", "u"))
        await until(lambda: gate.begun == 3)
        gate.open.set()
        assert await asyncio.gather(unary, *streams) == [["u"], ["s"], ["s"]]


async def test_the_engine_is_idle_after_half_of_many_calls_were_cancelled() -> None:
    running_now = 0

    async def work(text: str) -> str:
        nonlocal running_now
        running_now += 1
        try:
            await asyncio.sleep(0.02)
            return text
        finally:
            running_now -= 1

    echo = Echo(work, times=3)
    async with (
        running(echo.service(), max_queued_calls=1000) as server,
        open_channel(server.address) as channel,
    ):
        calls = [
            asyncio.ensure_future(call(channel, SHAPES[i % 4], str(i), timeout=20))
            for i in range(400)
        ]
        for i, task in enumerate(calls):
            if i % 2:
                asyncio.get_running_loop().call_later(i / 1000, task.cancel)
        await asyncio.wait(calls)
        assert all(task.cancelled() or task.result() for task in calls)
        await until(lambda: running_now == 0)
