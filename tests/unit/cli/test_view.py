"""What ``groundmesh up`` shows."""

import asyncio
import io
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from groundmesh.cli.up.live import LiveView
from groundmesh.cli.up.status import Failure, State, Status
from groundmesh.cli.up.view import PlainView
from tests.waiting import until


@dataclass
class Mesh:
    """What a view is shown."""

    statuses: tuple[Status, ...]
    ready: bool = False
    lines: dict[str, str] = field(default_factory=dict)

    def latest_line(self, name: str) -> str:
        return self.lines.get(name, "")


def status(name: str, state: State, *, since: float = 0.0, restarts: int = 0) -> Status:
    return Status(name, "127.0.0.1:1", state, since, pid=7, restarts=restarts)


def plain() -> tuple[PlainView, io.StringIO]:
    out = io.StringIO()
    view = PlainView(Console(file=out), welcome="WELCOME", gone=lambda: None)
    return view, out


async def test_plain_lines_say_what_happens() -> None:
    view, out = plain()
    starting, ready = status("a", State.STARTING, since=1.0), status("a", State.READY, since=3.5)
    mesh = Mesh((ready,), ready=True)
    async with view.showing(mesh):
        view.changed(starting, before=status("a", State.STOPPED))
        view.changed(ready, before=starting)
        view.changed(status("a", State.NOT_READY), before=ready)
        view.changed(ready, before=status("a", State.NOT_READY))
    first, second, third, welcome, *rest = out.getvalue().splitlines()
    assert first == "a: starting on 127.0.0.1:1 (process 7)"
    assert second == "a: ready after 2.5 s"
    assert third.startswith("all 1 services are ready after")
    assert welcome == "WELCOME"
    assert rest == ["a: not ready", "a: ready after 3.5 s"]  # and no second welcome


def test_a_death_is_told_with_its_last_lines_once() -> None:
    view, out = plain()
    words = ('{"message": "no disk [x]"}',)
    death = Failure("a", "exit code 7", words, Path("/l/a.log"), 0.5, again=False)
    view.failed(death)
    view.failed(replace(death, retry_in_s=1.0, again=True))
    view.failed(Failure("b", "killed by SIGKILL", (), Path("/l/b.log"), 0.5, again=False))
    assert out.getvalue().splitlines() == [
        "a: died (exit code 7); starting again in 0.5 s.",
        "  Its last lines; all are in /l/a.log:",
        "  | no disk [x]",
        "a: died again (exit code 7); next try in 1 s.",
        "b: died (killed by SIGKILL); starting again in 0.5 s.",
        "  It had printed nothing.",
    ]


async def test_the_table_shows_each_service_as_it_is() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    view = LiveView(console, title="TITLE", welcome="WELCOME")
    now = time.monotonic()
    mesh = Mesh(
        (
            status("generator", State.STARTING, since=now - 70),
            status("embedder", State.READY, since=now - 5, restarts=2),
        ),
        lines={"generator": '{"message": "loading [weights]"}'},
    )
    async with view.showing(mesh):
        await until(lambda: "WELCOME" not in out.getvalue() and "TITLE" in out.getvalue())
        assert "starting  1 min 10 s  127.0.0.1:1  loading [weights]" in squeezed(out)
        assert "embedder  ready  5 s  127.0.0.1:1  started again 2 times" in squeezed(out)
        mesh.ready = True
        await until(lambda: "WELCOME" in out.getvalue())
        view.say("said [so]")
        await asyncio.sleep(0)
    assert "said [so]" in out.getvalue()


def squeezed(out: io.StringIO) -> str:
    """The text with runs of blanks made two."""
    return re.sub(" {2,}", "  ", out.getvalue())
