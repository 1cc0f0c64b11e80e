"""The one interceptor: runs every handler, whatever its shape, inside the chain of layers."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Self, TypeAlias

import grpc
import grpc.aio

from groundmesh.errors import InvalidArgument, Reason, Unimplemented
from groundmesh.server.call import Call
from groundmesh.server.writing import ResponseWriter

Around = Callable[[Call], AbstractAsyncContextManager[None]]
"""What is entered before a call's request is parsed, and left after its response is made."""

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
_Context = grpc.aio.ServicerContext[Any, Any]

_CONSTRUCTORS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


_END_CHECK_S = 0.01
"""Measured: the cancellation follows within 0.5 ms, also with every core busy."""


class ChainInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each method once in a coroutine that is the same for all four shapes.

    A stream of responses is written by that coroutine and not handed to grpc.aio as a generator:
    grpc.aio leaves a generator that was cancelled between two messages to the garbage collector,
    here its ``finally`` blocks run at once and in the call's own task.
    """

    def __init__(self, around: Around) -> None:
        """``around`` makes the context manager for one call."""
        self._around = around
        self._wrapped: dict[str, _Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_MaybeHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _MaybeHandler:
        """Give grpc.aio the wrapped handler of the method."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:  # no such method; not kept: anybody can make names up
                return None
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: _Handler) -> _Handler:
        shape = (handler.request_streaming, handler.response_streaming)
        behaviour = _behaviour_of(handler)
        parse = _parser(handler.request_deserializer)

        async def run(request: Any, context: _Context) -> Any:
            call = Call(method, streams_requests=handler.request_streaming, context=context)
            async with self._around(call):
                request = _Requests(request) if handler.request_streaming else parse(request)
                if handler.response_streaming:
                    return await _write_all(behaviour(request, context), context)
                response = await behaviour(request, context)
                return _serialize(handler, response, context)

        return _CONSTRUCTORS[shape](
            run,
            # A single request is parsed, and a single response made into bytes, inside the chain;
            # what a stream holds, where the handler reads and writes it, which is inside, too.
            request_deserializer=parse if handler.request_streaming else None,
            response_serializer=handler.response_serializer if handler.response_streaming else None,
        )


class _Requests:
    """A stream of requests that ends only if its caller ended it.

    grpc.aio says "no more messages" both when the caller has finished and when it has gone (or
    sent a message over the cap), and cancels the call in the second case a moment later. A handler
    would take half a stream for a whole one in between, so that moment is waited for.
    """

    def __init__(self, received: AsyncIterator[Any]) -> None:
        self._received = received

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._received)
        except StopAsyncIteration:
            await asyncio.sleep(_END_CHECK_S)
            raise


def _behaviour_of(handler: _Handler) -> Callable[..., Any]:
    behaviours = (
        handler.unary_unary,
        handler.unary_stream,
        handler.stream_unary,
        handler.stream_stream,
    )
    behaviour = next(behaviour for behaviour in behaviours if behaviour is not None)
    if inspect.iscoroutinefunction(behaviour) or inspect.isasyncgenfunction(behaviour):
        return behaviour
    return _not_built


async def _not_built(_request: Any, _context: _Context) -> Any:
    """Stand in for what a generated base class holds for a method that nobody wrote."""
    raise Unimplemented("this version does not do this yet")


def _parser(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    def parse(raw: bytes) -> Any:
        try:
            return raw if deserialize is None else deserialize(raw)
        except Exception as error:
            raise InvalidArgument(
                "the bytes of the request are no valid message of its type",
                reason=Reason.MALFORMED_REQUEST,
            ) from error

    return parse


async def _write_all(responses: Any, context: _Context) -> None:
    if not inspect.isasyncgen(responses):
        await responses  # a handler that writes by itself
        return
    writer = ResponseWriter(context)
    async with aclosing(responses):
        async for response in responses:
            await writer.write(response)


def _serialize(handler: _Handler, response: Any, context: _Context) -> bytes:
    if context.code() not in (None, grpc.StatusCode.OK):
        return b""  # grpcio's own channelz reports errors by code alone
    serialize = handler.response_serializer
    return response if serialize is None else serialize(response)
