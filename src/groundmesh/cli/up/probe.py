"""Asking a service whether it is ready, over gRPC."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol, TypeAlias

import grpc
from grpc_health.v1 import health_pb2

PROBE_TIMEOUT_S = 2.0

_Check: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[
    health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
]

_CHANNEL_OPTIONS = (
    # A probe repeats soon anyway: it must see a new process at once, not after a minute of backoff.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
)


class Health(Enum):
    """What a probe found."""

    READY = "it answered, and is ready"
    NOT_READY = "it answered, and said that it is not ready"
    SILENT = "nobody answered in time"


class Probe(Protocol):
    """Asks one service, as often as it is called, and holds the connection between."""

    async def check(self) -> Health:
        """Ask once; never raises, and takes no longer than a few seconds."""

    async def close(self) -> None:
        """Give the connection back."""


Question: TypeAlias = Callable[[grpc.aio.Channel], Awaitable[Health]]
"""One unary call that finds out whether a server is ready; it may raise what gRPC raises."""


class GrpcProbe:
    """A probe that asks a question on a channel of its own."""

    def __init__(self, address: str, ask: Question) -> None:
        """Connect when first asked."""
        self._channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._ask = ask

    async def check(self) -> Health:
        """Ask once."""
        try:
            return await self._ask(self._channel)
        except grpc.aio.AioRpcError as error:
            silent = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
            return Health.SILENT if error.code() in silent else Health.NOT_READY

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def health_of(service: str) -> Question:
    """Ask ``grpc.health.v1`` for a service by its full name."""
    request = health_pb2.HealthCheckRequest(service=service)

    async def ask(channel: grpc.aio.Channel) -> Health:
        check: _Check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        answer = await check(request, timeout=PROBE_TIMEOUT_S)
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        return Health.READY if serving else Health.NOT_READY

    return ask


def answer_to(method: str) -> Question:
    """Take any answer to an empty request as ready: for a server without the health service."""

    async def ask(channel: grpc.aio.Channel) -> Health:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        await call(b"", timeout=PROBE_TIMEOUT_S)
        return Health.READY

    return ask
