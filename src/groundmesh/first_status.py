"""The status that the server sent, for calls that stream requests.

When a server ends such a call early (a name is not found, say), a request that is still being
written fails, and grpc.aio lets that failure overwrite the status: the caller sees INTERNAL,
"Internal error from Core" (grpc/grpc#36066). This keeps the status that came first.
"""

from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

import grpc
import grpc.aio

R = TypeVar("R")


class FirstStatus:
    """Raises the error that the server sent in the place of one from a write that came too late.

    Made as soon as the call is; a context manager around everything that is awaited of it, inside
    ``translated``, and usable many times.
    """

    def __init__(self, call: grpc.aio.Call) -> None:
        """Listen for the end of the call."""
        self._sent: grpc.aio.AioRpcError | None = None
        call.add_done_callback(self._keep)

    def __enter__(self) -> None:
        """Nothing is done before an error comes."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Replace an INTERNAL that the server did not send."""
        if self._sent is None or not isinstance(error, grpc.aio.AioRpcError):
            return
        if error.code() is grpc.StatusCode.INTERNAL:
            raise self._sent from None

    def _keep(self, call: grpc.aio.Call) -> None:
        if self._sent is None and _now(call.code()) is not grpc.StatusCode.OK:
            self._sent = grpc.aio.AioRpcError(
                code=_now(call.code()),
                initial_metadata=_now(call.initial_metadata()),
                trailing_metadata=_now(call.trailing_metadata()),
                details=_now(call.details()),
            )


def _now(coroutine: Coroutine[Any, Any, R]) -> R:
    """The result of a coroutine that has nothing to wait for, as those of a call that is over."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: R = finished.value
        return result
    raise AssertionError("a call that is over has no status")
