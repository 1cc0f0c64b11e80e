"""The echo service as a process of its own: ``python -m tests.mesh.echo_process``."""

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Literal

from groundmesh.errors import FailedPrecondition
from groundmesh.server.app import run
from groundmesh.server.settings import ServerSettings, load_settings
from tests.mesh.echo import Echo


@dataclass(frozen=True)
class EchoSettings(ServerSettings):
    """Settings of the echo service."""

    work_s: float = 0.0
    """How long a call takes."""
    engine: Literal["fine", "refuses", "buggy", "dies", "stuck"] = "fine"
    """What the engine does when it starts."""


async def _die_soon() -> None:
    raise FailedPrecondition("the engine has died")


def main() -> int:
    settings = load_settings(EchoSettings, service="echo")

    async def work(text: str) -> str:
        await asyncio.sleep(settings.work_s)
        return text

    echo = Echo(work)
    match settings.engine:
        case "refuses":
            echo.engine.start_error = FailedPrecondition("no such model: x")
        case "buggy":
            echo.engine.start_error = ZeroDivisionError()
        case "dies":
            echo.engine.check = _die_soon  # type: ignore[method-assign]
        case "stuck":  # as a library is that loads weights and can't be interrupted
            echo.engine.start = lambda: asyncio.to_thread(time.sleep, 60)  # type: ignore[method-assign]
    return run(echo.service(), settings)


if __name__ == "__main__":
    sys.exit(main())
