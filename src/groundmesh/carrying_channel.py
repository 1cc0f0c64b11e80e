"""A channel whose calls carry on what the running call knows.

A wrapper and not four of grpc.aio's client interceptors: those put a task and a queue between
the caller and each call, and change how a stream is cancelled; here callers hold grpc's own call.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from groundmesh.deadline import downstream_timeout
from groundmesh.propagation import outgoing_metadata


class CarryingChannel(grpc.aio.Channel):
    """Adds request id, principal and deadline to every call of an inner channel."""

    def __init__(self, inner: grpc.aio.Channel) -> None:
        """Own ``inner``: closing this closes it."""
        self._inner = inner

    def unary_unary(self, *args: Any, **kwargs: Any) -> "_Carrying":
        """See ``grpc.aio.Channel``."""
        return _Carrying(self._inner.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> "_Carrying":
        """See ``grpc.aio.Channel``."""
        return _Carrying(self._inner.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> "_Carrying":
        """See ``grpc.aio.Channel``."""
        return _Carrying(self._inner.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> "_Carrying":
        """See ``grpc.aio.Channel``."""
        return _Carrying(self._inner.stream_stream(*args, **kwargs))

    async def close(self, grace: float | None = None) -> None:
        """See ``grpc.aio.Channel``."""
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See ``grpc.aio.Channel``."""
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See ``grpc.aio.Channel``."""
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See ``grpc.aio.Channel``."""
        await self._inner.channel_ready()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(exc_type, exc_val, exc_tb)


class _Carrying(
    grpc.aio.UnaryUnaryMultiCallable[Any, Any],
    grpc.aio.UnaryStreamMultiCallable[Any, Any],
    grpc.aio.StreamUnaryMultiCallable,  # type: ignore[type-arg] # not generic in grpcio 1.70
    grpc.aio.StreamStreamMultiCallable,  # type: ignore[type-arg] # nor is this
):
    """One method of any shape; the same three things are added to each call."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        self._inner = inner

    def __call__(
        self, *args: Any, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Any:
        limits = [limit for limit in (timeout, downstream_timeout()) if limit is not None]
        carried = (*(metadata or ()), *outgoing_metadata())
        return self._inner(*args, timeout=min(limits, default=None), metadata=carried, **options)
