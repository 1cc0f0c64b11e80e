"""What is done around every call, as a chain of async context managers."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from groundmesh.deadline import within
from groundmesh.errors import DeadlineExceeded
from groundmesh.identity import Principal, acting_as
from groundmesh.propagation import incoming_principal
from groundmesh.request_id import METADATA_KEY, accept, carrying
from groundmesh.server.admission import Admission
from groundmesh.server.call import Call, RunningCalls
from groundmesh.server.failures import errors
from groundmesh.server.readiness import Readiness
from groundmesh.server.settings import ServerSettings

access_log = logging.getLogger("groundmesh.access")

_Layer = Callable[[Call], AbstractAsyncContextManager[None]]


class Layers:
    """The layers of one server, with what they share: its limits, its phase and its calls."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        readiness: Readiness,
        bulk_methods: frozenset[str] = frozenset(),
    ) -> None:
        """``bulk_methods`` are full method paths that are admitted behind all others."""
        self.calls = RunningCalls()
        self.admission = Admission(
            max_running=settings.max_concurrent_calls,
            max_waiting=settings.max_queued_calls,
            max_streams=settings.max_open_streams,
        )
        self._readiness = readiness
        self._settings = settings
        self._bulk_methods = bulk_methods
        self._infrastructure: tuple[_Layer, ...] = (
            self._tracked,
            _request_id,
            _logged,
            errors,
            self._deadline,
        )
        self._work = (*self._infrastructure, self._identity, self._ready, self._admitted)

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Enter every layer, the outermost first, and leave them in the opposite order.

        Infrastructure is neither identified nor made to wait: a probe must be answered by a server
        that has no room left.
        """
        layers = self._infrastructure if call.is_infrastructure else self._work
        async with AsyncExitStack() as stack:
            for layer in layers:
                await stack.enter_async_context(layer(call))
            yield

    @asynccontextmanager
    async def _tracked(self, call: Call) -> AsyncIterator[None]:
        with self.calls.tracking(call):
            yield

    @asynccontextmanager
    async def _deadline(self, call: Call) -> AsyncIterator[None]:
        """Make the deadline known, and end the work when it passes: nobody waits for it any more.

        Without a deadline, a stream of requests lasts as long as its caller likes, and a watch of
        the health as long as its connection.
        """
        left: float | None = call.context.time_remaining()  # the type stubs forget the None
        if left is None and not call.streams_requests and not call.is_infrastructure:
            left = self._settings.default_deadline_s
        scope = asyncio.timeout(left)
        try:
            async with scope:
                with within(left):
                    yield
        except TimeoutError:
            if scope.expired():
                raise DeadlineExceeded("the call's time is over") from None
            raise

    @asynccontextmanager
    async def _identity(self, call: Call) -> AsyncIterator[None]:
        local = self._settings.identity == "local"
        call.principal = Principal.local() if local else incoming_principal(call.metadata)
        with acting_as(call.principal):
            yield

    @asynccontextmanager
    async def _ready(self, _call: Call) -> AsyncIterator[None]:
        self._readiness.require_ready()
        yield

    @asynccontextmanager
    async def _admitted(self, call: Call) -> AsyncIterator[None]:
        if call.streams_requests:
            with self.admission.stream():
                yield
        else:
            async with self.admission.slot(bulk=call.method in self._bulk_methods):
                yield


@asynccontextmanager
async def _request_id(call: Call) -> AsyncIterator[None]:
    offered = dict(call.metadata).get(METADATA_KEY)
    with carrying(accept(offered if isinstance(offered, str) else None)):
        yield


@asynccontextmanager
async def _logged(call: Call) -> AsyncIterator[None]:
    since = time.monotonic()
    try:
        yield
    finally:
        fields = {
            "method": call.method,
            "code": call.code,
            "tenant": call.principal.tenant if call.principal else None,
            "duration_ms": round((time.monotonic() - since) * 1000, 3),
        }
        level = logging.DEBUG if call.is_infrastructure else logging.INFO
        access_log.log(level, "%s %s", call.method, call.code, extra={"fields": fields})
