"""The live table of ``groundmesh up`` on a terminal."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from groundmesh.cli.up.log import readable
from groundmesh.cli.up.status import Failure, State, Status
from groundmesh.cli.up.view import Source, failure_text, killed_text

REFRESHES_PER_S = 8

_STYLES = {
    State.STARTING: "yellow",
    State.READY: "green",
    State.NOT_READY: "red",
    State.RESTARTING: "red",
    State.STOPPING: "yellow",
    State.STOPPED: "dim",
}
_MARKS = {State.READY: "●", State.STOPPED: "○"}


class LiveView:
    """A table that always shows how each service is; what happens is printed above it."""

    def __init__(self, console: Console, *, title: str, welcome: str) -> None:
        """``welcome`` stands under the table while all is ready."""
        self._console = console
        self._title = title
        self._welcome = welcome
        self._spinner = Spinner("dots", style="yellow")

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(Text(text))

    def changed(self, status: Status, *, before: Status) -> None:
        """Nothing: the table shows it."""

    def failed(self, failure: Failure) -> None:
        """Print why a service died."""
        self._console.print(Text(failure_text(failure), style="red"))

    def was_killed(self, name: str, after_s: float) -> None:
        """Print that a service had to be killed."""
        self._console.print(Text(killed_text(name, after_s), style="yellow"))

    @asynccontextmanager
    async def showing(self, source: Source) -> AsyncIterator[None]:
        """Draw the table for the length of a block."""
        # Refreshed by a task, not by rich's thread: what it draws changes on the event loop.
        with Live(
            console=self._console,
            get_renderable=lambda: self._render(source),
            auto_refresh=False,
        ) as live:
            drawing = asyncio.create_task(_redraw(live))
            try:
                yield
            finally:
                drawing.cancel()

    def _render(self, source: Source) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for column in ("", "service", "state", "for", "address", "note"):
            table.add_column(column, no_wrap=True, justify="right" if column == "for" else "left")
        for status in source.statuses:
            table.add_row(*self._row(status, source))
        foot = self._welcome if source.ready else ""
        return Group(Text(self._title, style="bold"), table, Text(foot))

    def _row(self, status: Status, source: Source) -> tuple[RenderableType, ...]:
        style = _STYLES[status.state]
        mark = _MARKS.get(status.state)
        return (
            Text(mark, style=style) if mark else self._spinner,
            Text(status.name, style="bold"),
            Text(status.state, style=style),
            Text(duration_text(time.monotonic() - status.since)),
            Text(status.address),
            Text(_note(status, source), style="dim", overflow="ellipsis"),
        )


async def _redraw(live: Live) -> None:
    while True:
        live.refresh()
        await asyncio.sleep(1 / REFRESHES_PER_S)


def duration_text(seconds: float) -> str:
    """A duration that is looked at while it grows: ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = int(seconds)
    if whole < 60:  # noqa: PLR2004  a minute
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004  an hour
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _note(status: Status, source: Source) -> str:
    if status.state is State.STARTING:
        return readable(source.latest_line(status.name))
    if status.restarts:
        return f"started again {status.restarts} time{'s' if status.restarts > 1 else ''}"
    return ""
