"""What ``groundmesh up`` shows: a live table on a terminal, plain lines anywhere else."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from rich.console import Console

from groundmesh.cli.up.log import readable
from groundmesh.cli.up.status import Failure, Reporter, State, Status

STILL_STARTING_EVERY_S = 15.0


class Source(Protocol):
    """What a view asks about the mesh while it shows it; the supervisor answers."""

    @property
    def statuses(self) -> tuple[Status, ...]:
        """Every service now."""
        ...

    @property
    def ready(self) -> bool:
        """Whether every service is ready now."""
        ...

    def latest_line(self, name: str) -> str:
        """The newest line of a service's log."""
        ...


class View(Reporter, Protocol):
    """Shows the mesh while it runs."""

    def say(self, text: str) -> None:
        """Print a line."""

    def showing(self, source: Source) -> AbstractAsyncContextManager[None]:
        """Show the source for the length of a block."""


class PlainView:
    """One line for each thing that happens, for pipes and files."""

    def __init__(self, console: Console, *, welcome: str, gone: Callable[[], None]) -> None:
        """``welcome`` is said when all is ready; ``gone`` is called when nobody reads any more."""
        self._console = console
        self._welcome = welcome
        self._gone = gone
        self._source: Source | None = None
        self._began = time.monotonic()
        self._welcomed = False

    def say(self, text: str) -> None:
        """Print a line."""
        try:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        except BrokenPipeError:
            self._gone()

    def changed(self, status: Status, *, before: Status) -> None:
        """Say how a service is now."""
        if status.state is State.STARTING and status.pid is not None:
            self.say(f"{status.name}: starting on {status.address} (process {status.pid})")
        elif status.state is State.READY:
            took_s = status.since - before.since
            self.say(f"{status.name}: ready after {took_s:.1f} s")
            self._welcome_once()
        elif status.state in (State.NOT_READY, State.STOPPING, State.STOPPED):
            self.say(f"{status.name}: {status.state}")

    def failed(self, failure: Failure) -> None:
        """Say why a service died."""
        self.say(failure_text(failure))

    def was_killed(self, name: str, after_s: float) -> None:
        """Say that a service had to be killed."""
        self.say(killed_text(name, after_s))

    @asynccontextmanager
    async def showing(self, source: Source) -> AsyncIterator[None]:
        """Say now and then what still starts."""
        self._source = source
        self._began = time.monotonic()
        waiting = asyncio.create_task(self._say_what_still_starts(source))
        try:
            yield
        finally:
            waiting.cancel()

    def _welcome_once(self) -> None:
        if self._source is None or self._welcomed or not self._source.ready:
            return
        self._welcomed = True
        count = len(self._source.statuses)
        self.say(f"all {count} services are ready after {time.monotonic() - self._began:.1f} s")
        self.say(self._welcome)

    async def _say_what_still_starts(self, source: Source) -> None:
        while True:
            await asyncio.sleep(STILL_STARTING_EVERY_S)
            for status in source.statuses:
                if status.state is State.STARTING:
                    elapsed_s = time.monotonic() - status.since
                    latest = readable(source.latest_line(status.name))
                    self.say(f"{status.name}: still starting after {elapsed_s:.0f} s: {latest}")


def failure_text(failure: Failure) -> str:
    """Why a service died, what is done about it, and its last words."""
    if failure.again:
        return f"{failure.name}: died again ({failure.how}); next try in {failure.retry_in_s:g} s."
    lines = [f"{failure.name}: died ({failure.how}); starting again in {failure.retry_in_s:g} s."]
    if failure.log_tail:
        lines.append(f"  Its last lines; all are in {failure.log}:")
        lines.extend(f"  | {readable(line)}" for line in failure.log_tail)
    else:
        lines.append("  It had printed nothing.")
    return "\n".join(lines)


def killed_text(name: str, after_s: float) -> str:
    """That a service did not stop by itself."""
    return f"{name}: did not stop within {after_s:g} s, so it was killed"
