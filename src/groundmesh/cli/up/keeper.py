"""Keeps one service running: starts it, watches it, starts it again when it dies, stops it."""

import asyncio
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from groundmesh.cli.up.backoff import Backoff, BackoffPolicy
from groundmesh.cli.up.log import ServiceLog
from groundmesh.cli.up.probe import Health, Probe
from groundmesh.cli.up.process import Child, describe_exit
from groundmesh.cli.up.status import Failure, Reporter, State, Status

SHOWN_LOG_LINES = 12


@dataclass(frozen=True)
class KeeperPolicy:
    """The times of a keeper."""

    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)
    poll_starting_s: float = 0.25
    poll_ready_s: float = 1.0
    unready_s: float = 5.0
    """A service that was ready and answers no probe for so long is shown as not ready,"""
    silent_s: float = 60.0
    """and for so long is hung: it is killed."""
    stop_grace_s: float = 18.0
    """How long a service may take to stop before it is killed: above what `up` lets it drain."""


@dataclass(frozen=True)
class ServiceSpec:
    """How one service is run."""

    name: str
    address: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    calls: tuple[str, ...] = ()
    """The services that it calls: they are stopped after it."""
    stop_signal: signal.Signals = signal.SIGTERM


class Keeper:
    """One service, as long as the mesh is up."""

    def __init__(
        self,
        spec: ServiceSpec,
        *,
        probe: Probe,
        log: ServiceLog,
        reporter: Reporter,
        policy: KeeperPolicy,
    ) -> None:
        """Nothing runs before :meth:`run`."""
        self.spec = spec
        self.log = log
        self.status = Status(spec.name, spec.address, State.STOPPED, time.monotonic())
        self._probe = probe
        self._reporter = reporter
        self._policy = policy
        self._backoff = Backoff(policy.backoff)
        self._stop = asyncio.Event()
        self._pid: int | None = None
        self._restarts = 0
        self._ready_since: float | None = None
        self._last_answer = 0.0
        self._last_words: tuple[str, tuple[str, ...]] | None = None

    async def run(self) -> None:
        """Keep the service running until :meth:`stop`; when cancelled, kill it at once."""
        try:
            while not self._stop.is_set():
                how = await self._run_once()
                if not self._stop.is_set():
                    await self._pause_after(how)
        finally:
            self._become(State.STOPPED)
            self.log.close()
            await self._probe.close()

    def stop(self) -> None:
        """Let :meth:`run` stop the service and return."""
        self._stop.set()

    async def _run_once(self) -> str:
        """One run of the process, from its start to its end; says how it ended."""
        self.log.forget_tail()
        self._ready_since = None
        self._become(State.STARTING)
        try:
            child = await Child.start(self.spec.command, env=self.spec.env, output=self.log.write)
        except OSError as error:
            return f"could not be started: {error}"
        self._pid = child.pid
        self._become(State.STARTING)
        try:
            return await self._see_through(child)
        finally:
            await child.end()
            self._pid = None

    async def _see_through(self, child: Child) -> str:
        ended = asyncio.create_task(child.wait())
        asked = asyncio.create_task(self._stop.wait())
        hung = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({ended, asked, hung}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return describe_exit(ended.result())
            if asked.done():
                hung.cancel()  # it may go on serving while it drains, and is stopping all the same
                await self._stop_child(child)
                return "stopped"
            hung.result()
            return f"gave no sign of life for {self._policy.silent_s:.0f} s, so it was killed"
        finally:
            for task in (ended, asked, hung):
                task.cancel()
            await asyncio.wait({ended, asked, hung})

    async def _stop_child(self, child: Child) -> None:
        self._become(State.STOPPING)
        grace_s = self._policy.stop_grace_s
        if not await child.stop(self.spec.stop_signal, grace_s=grace_s):
            self._reporter.was_killed(self.spec.name, grace_s)

    async def _watch(self) -> None:
        """Follow the health of a run; returns when a service that was ready has gone silent."""
        self._last_answer = time.monotonic()
        while not self._is_hung():
            self._take(await self._probe.check())
            ready = self.status.state is State.READY
            policy = self._policy
            await asyncio.sleep(policy.poll_ready_s if ready else policy.poll_starting_s)

    @property
    def _silent_s(self) -> float:
        return time.monotonic() - self._last_answer

    def _is_hung(self) -> bool:
        return self._ready_since is not None and self._silent_s > self._policy.silent_s

    def _take(self, health: Health) -> None:
        if health is not Health.SILENT:
            self._last_answer = time.monotonic()
        if health is Health.READY:
            self._ready_since = self._ready_since or time.monotonic()
            self._become(State.READY)
        elif self.status.state is State.READY and self._lasts(health):
            self._become(State.NOT_READY)

    def _lasts(self, health: Health) -> bool:
        """A busy machine costs a probe now and then; a death shows by itself."""
        return health is Health.NOT_READY or self._silent_s > self._policy.unready_s

    async def _pause_after(self, how: str) -> None:
        ready_for_s = time.monotonic() - self._ready_since if self._ready_since else 0.0
        delay_s = self._backoff.delay_after(ready_for_s=ready_for_s)
        self._restarts += 1
        self._become(State.RESTARTING)
        tail = self.log.tail(SHOWN_LOG_LINES)
        again = (how, tail) == self._last_words
        self._last_words = (how, tail)
        self._reporter.failed(Failure(self.spec.name, how, tail, self.log.path, delay_s, again))
        try:
            async with asyncio.timeout(delay_s):
                await self._stop.wait()
        except TimeoutError:
            return

    def _become(self, state: State) -> None:
        before = self.status
        since = before.since if before.state is state else time.monotonic()
        self.status = Status(
            self.spec.name, self.spec.address, state, since, self._pid, self._restarts
        )
        if self.status != before:
            self._reporter.changed(self.status, before=before)
