"""One RPC while it runs, and the set of all of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import grpc.aio

from groundmesh.errors import MeshError
from groundmesh.identity import Principal

_INFRASTRUCTURE = ("/grpc.", "/groundmesh.v1.MeshService/")


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call is made in its own task")
    return task


class CallerGone(asyncio.CancelledError):
    """Nothing can be sent any more, which was noticed before grpc cancelled the call."""


@dataclass
class Call:
    """What the layers around a handler share about its call."""

    method: str
    """Full path: ``/package.Service/Method``."""
    streams_requests: bool
    context: grpc.aio.ServicerContext[Any, Any]
    task: asyncio.Task[Any] = field(default_factory=_current_task)
    principal: Principal | None = None
    """Who it acts for, once that is known."""
    code: str = "OK"
    """How it ended, for the log."""
    stopped_with: MeshError | None = None
    """Why the server itself ended it."""

    @cached_property
    def metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """What the caller sent beside the request."""
        return tuple(self.context.invocation_metadata() or ())

    @property
    def is_infrastructure(self) -> bool:
        """Health, reflection, channelz, server info: of no principal, and never made to wait."""
        return self.method.startswith(_INFRASTRUCTURE)

    def stop(self, error: MeshError) -> None:
        """End the call from the server's side; its caller gets ``error``."""
        self.stopped_with = error
        self.task.cancel()


class RunningCalls:
    """Every call that runs now, so that a drain can wait for them and end them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._calls: list[Call] = []
        self._changed = asyncio.Event()

    @contextmanager
    def tracking(self, call: Call) -> Iterator[None]:
        """Count ``call`` for the length of the block."""
        self._calls.append(call)
        try:
            yield
        finally:
            self._calls.remove(call)
            self._changed.set()

    def work(self) -> list[Call]:
        """The calls that somebody waits for, infrastructure aside."""
        return [call for call in self._calls if not call.is_infrastructure]

    async def work_done(self) -> None:
        """Return when no work runs."""
        while self.work():
            self._changed.clear()
            await self._changed.wait()

    def stop_work(self, error: MeshError) -> None:
        """End every call that somebody waits for with ``error``."""
        for call in self.work():
            call.stop(error)

    def stop_all(self, error: MeshError) -> None:
        """End every call with ``error``."""
        for call in self._calls:
            call.stop(error)
