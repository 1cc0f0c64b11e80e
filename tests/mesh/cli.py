"""Running commands of the CLI in tests: inside this process, or as one of its own."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from groundmesh.cli.app import app


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Cli:
    """Runs whole commands, from their arguments to their exit code, in a thread of this process.

    A process each would take half a second; what they await runs on the test's own event loop.
    """

    server: str
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, *arguments: str) -> Result:
        loop = asyncio.get_running_loop()
        runner = SimpleNamespace(
            run=lambda command: asyncio.run_coroutine_threadsafe(command, loop).result(30)
        )
        self.monkeypatch.setattr("groundmesh.cli.problems.asyncio", runner)
        self.monkeypatch.setenv("GROUNDMESH_SERVER", self.server)
        self.capsys.readouterr()
        code = await asyncio.to_thread(_exit_code, arguments)
        out, err = self.capsys.readouterr()
        return Result(code, out, err)


def _exit_code(arguments: tuple[str, ...]) -> int:
    try:
        app(list(arguments))
    except SystemExit as finished:
        return int(finished.code or 0)
    raise AssertionError("a command came back")


async def cli_process(server: str, folder: Path, *arguments: str) -> Process:
    """A command as a process, with its output in pipes."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "groundmesh.cli", *arguments),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=folder,
        env={**os.environ, "GROUNDMESH_SERVER": server, "LC_ALL": "C.UTF-8"},
    )
