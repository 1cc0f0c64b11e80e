"""A server from its first port to its last call."""

import asyncio
import logging
import time

import grpc.aio

from groundmesh.errors import Internal, MeshError, Reason, Unavailable
from groundmesh.server.call import RunningCalls
from groundmesh.server.engine import Engine
from groundmesh.server.readiness import Phase, Readiness
from groundmesh.server.settings import ServerSettings

logger = logging.getLogger(__name__)

ENGINE_STOP_LIMIT_S = 6.0
"""How long ``engine.stop`` may take; what it still holds dies with the process."""

_LAST_WORDS_S = 1.0
"""For the calls that a drain ended to tell their callers so."""


def drain_limit_s(settings: ServerSettings) -> float:
    """The longest that a drain takes; a supervisor that waits longer never has to kill."""
    return settings.drain_pause_s + settings.drain_grace_s + 2 * _LAST_WORDS_S + ENGINE_STOP_LIMIT_S


class RunningServer:
    """A server that listens; its engine may still be starting. ``serving`` makes one."""

    def __init__(
        self,
        name: str,
        *,
        address: str,
        server: grpc.aio.Server,
        engine: Engine,
        readiness: Readiness,
        calls: RunningCalls,
        settings: ServerSettings,
    ) -> None:
        """Nothing happens before ``start``."""
        self.name = name
        self.address = address
        """Where it is called: ``127.0.0.1:50051``."""
        self._server = server
        self._engine = engine
        self._readiness = readiness
        self._calls = calls
        self._settings = settings
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[MeshError | None] = loop.create_future()
        self._over: asyncio.Future[MeshError | None] = loop.create_future()
        self._life: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Return once the engine has answered; raise why it never will."""
        error = await asyncio.shield(self._ready)
        if error is not None:
            raise error

    async def over(self) -> MeshError | None:
        """Return when it is time to go: the error of an engine that died, None if told to stop."""
        return await asyncio.shield(self._over)

    def stop(self, error: MeshError | None = None) -> None:
        """Say that it is time to go."""
        if not self._over.done():
            self._over.set_result(error)
        if not self._ready.done():
            self._ready.set_result(error or Unavailable("stopped before it was ready"))

    async def start(self) -> None:
        """Take calls, and bring the engine up behind them."""
        await self._readiness.show(Phase.STARTING)
        await self._server.start()
        logger.info("listening, engine is starting", extra={"fields": {"address": self.address}})
        self._life = asyncio.create_task(self._live(), name=f"{self.name} engine")

    async def _live(self) -> None:
        since = time.monotonic()
        try:
            await self._engine.start()
            await self._readiness.show(Phase.READY)
            if not self._ready.done():
                self._ready.set_result(None)
            fields = {"address": self.address, "startup_s": round(time.monotonic() - since, 3)}
            logger.info("%s is ready", self.name, extra={"fields": fields})
            await self._watch()
        except MeshError as error:
            logger.error("%s can't go on: %s", self.name, error)  # noqa: TRY400 - said plainly
            await self._die(error)
        except Exception as error:
            logger.exception("%s can't go on", self.name)
            await self._die(Internal(f"{type(error).__name__}: {error}"))

    async def _watch(self) -> None:
        """Check the engine for ever; raise when it is dead."""
        while True:
            await asyncio.sleep(self._settings.engine_check_interval_s)
            try:
                async with asyncio.timeout(self._settings.engine_check_timeout_s):
                    await self._engine.check()
            except TimeoutError as error:
                limit = self._settings.engine_check_timeout_s
                raise Unavailable(
                    f"the engine did not answer a check in {limit:g} s", reason=Reason.ENGINE_DEAD
                ) from error

    async def _die(self, error: MeshError) -> None:
        await self._readiness.show(Phase.DEAD)
        if isinstance(error, Unavailable) and error.reason is Reason.ENGINE_DEAD:
            # What runs waits for an engine that will never answer, perhaps without knowing it.
            self._calls.stop_work(error)
        self.stop(error)

    async def drain(self) -> None:
        """Take nothing new, let what runs finish, stop. Bounded by ``drain_limit_s``."""
        self.stop()
        was_ready = self._readiness.phase is Phase.READY
        if was_ready:
            await self._readiness.show(Phase.DRAINING)
        logger.info("draining", extra={"fields": {"calls": len(self._calls.work())}})
        await self._end_life()
        if was_ready:
            # Balancers hear of NOT_SERVING before the first call is refused.
            await asyncio.sleep(self._settings.drain_pause_s)
        await self._stop_server()
        await self._stop_engine()
        logger.info("%s has stopped", self.name)

    async def _end_life(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait({self._life}, timeout=_LAST_WORDS_S)

    async def _stop_server(self) -> None:
        grace = self._settings.drain_grace_s
        stopping = asyncio.create_task(self._server.stop(grace + _LAST_WORDS_S))
        try:
            async with asyncio.timeout(grace):
                await self._calls.work_done()
        except TimeoutError:
            logger.warning(
                "calls took longer than the grace period",
                extra={"fields": {"calls": len(self._calls.work()), "grace_s": grace}},
            )
        # Those that are left, watches of the health above all, would hold up the server's end.
        self._calls.stop_all(Unavailable("the server is going down", reason=Reason.DRAINING))
        await stopping

    async def _stop_engine(self) -> None:
        try:
            async with asyncio.timeout(ENGINE_STOP_LIMIT_S):
                await self._engine.stop()
        except Exception:
            logger.exception("the engine did not stop well")
