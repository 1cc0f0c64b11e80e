"""A service of all four RPC shapes over StringValue, whose work each test gives it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.wrappers_pb2 import StringValue

from groundmesh.first_status import FirstStatus
from groundmesh.server.app import Service
from groundmesh.server.engine import EngineInfo

NAME = "groundmesh.test.EchoService"
SHAPES = ("Unary", "ServerStream", "ClientStream", "Bidi")

Work = Callable[[str], Awaitable[str]]
_Context = grpc.aio.ServicerContext[StringValue, StringValue]


def method(shape: str) -> str:
    return f"/{NAME}/{shape}"


async def echo(text: str) -> str:
    return text


class FakeEngine:
    """Starts and dies when told to."""

    def __init__(self) -> None:
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.start_error: BaseException | None = None
        self.check_error: BaseException | None = None
        self.stops = 0

    async def start(self) -> None:
        await self.may_start.wait()
        if self.start_error is not None:
            raise self.start_error

    async def check(self) -> None:
        if self.check_error is not None:
            raise self.check_error

    async def stop(self) -> None:
        self.stops += 1

    def describe(self) -> EngineInfo:
        return EngineInfo("fake", "1.2", models=("m",), load={"running": 0.0})


class Echo:
    """Does ``work`` once a request; streams answer ``times`` times."""

    def __init__(self, work: Work = echo, *, times: int = 1) -> None:
        self.work = work
        self.times = times
        self.engine = FakeEngine()
        self.log: list[str] = []
        """What happened in handlers, for tests of the order of things."""

    async def unary(self, request: StringValue, _context: _Context) -> StringValue:
        return StringValue(value=await self.work(request.value))

    async def server_stream(
        self, request: StringValue, _context: _Context
    ) -> AsyncIterator[StringValue]:
        try:
            for _ in range(self.times):
                yield StringValue(value=await self.work(request.value))
        finally:
            self.log.append("closed")

    async def client_stream(
        self, requests: AsyncIterator[StringValue], _context: _Context
    ) -> StringValue:
        answers = [await self.work(request.value) async for request in requests]
        self.log.append("end of requests")
        return StringValue(value=" ".join(answers))

    async def bidi(
        self, requests: AsyncIterator[StringValue], _context: _Context
    ) -> AsyncIterator[StringValue]:
        try:
            async for request in requests:
                yield StringValue(value=await self.work(request.value))
            self.log.append("end of requests")
        finally:
            self.log.append("closed")

    def _register(self, server: grpc.aio.Server) -> None:
        coders: dict[str, Any] = {
            "request_deserializer": StringValue.FromString,
            "response_serializer": StringValue.SerializeToString,
        }
        handlers: dict[str, Any] = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary, **coders),
            "ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream, **coders),
            "ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream, **coders),
            "Bidi": grpc.stream_stream_rpc_method_handler(self.bidi, **coders),
            "NotBuilt": grpc.unary_unary_rpc_method_handler(_generated_base, **coders),
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(NAME, handlers)])

    def service(self, **fields: Any) -> Service:
        return Service(
            name="echo",
            engine=self.engine,
            register=self._register,
            grpc_services=(NAME,),
            **fields,
        )


def _generated_base(_request: StringValue, context: grpc.ServicerContext) -> StringValue:
    """What generated stubs hold for a method that nobody wrote."""
    context.set_code(grpc.StatusCode.UNIMPLEMENTED)
    raise NotImplementedError


def _bytes_or_message(request: StringValue | bytes) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def open_call(channel: grpc.aio.Channel, shape: str, *requests: str | bytes, **options: Any) -> Any:
    """The call object; a request of bytes is sent as it is, be it a message or not."""
    make: Any = {
        "Unary": channel.unary_unary,
        "ServerStream": channel.unary_stream,
        "ClientStream": channel.stream_unary,
        "Bidi": channel.stream_stream,
    }[shape]
    callable_ = make(
        method(shape),
        request_serializer=_bytes_or_message,
        response_deserializer=StringValue.FromString,
    )
    messages = [r if isinstance(r, bytes) else StringValue(value=r) for r in requests]
    if shape in ("Unary", "ServerStream"):
        (message,) = messages
        return callable_(message, **options)
    return callable_(_iterate(messages), **options)


async def _iterate(messages: list[StringValue | bytes]) -> AsyncIterator[StringValue | bytes]:
    for message in messages:
        yield message


async def call(
    channel: grpc.aio.Channel, shape: str, *requests: str | bytes, **options: Any
) -> list[str]:
    """Every answer of one call."""
    opened = open_call(channel, shape, *requests, **options)
    with FirstStatus(opened):
        if shape in ("Unary", "ClientStream"):
            return [(await opened).value]
        return [response.value async for response in opened]
