"""Two servers that are both loaded, of which only one runs at a time."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from groundmesh.lifetime import tied


@dataclass(frozen=True)
class PausableServer:
    """A process with all its children."""

    process: psutil.Process
    log: Path

    def pause(self) -> None:
        """Stop every process of it, so that it takes no processor time."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def require_alive(self) -> None:
        """RuntimeError with the end of its log when it has ended."""
        if not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError(f"a server has ended: {self.log.read_text()[-2000:]}")

    def _send(self, number: signal.Signals) -> None:
        for process in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@asynccontextmanager
async def pausable_server(
    command: Sequence[str], *, env: Mapping[str, str], log: Path
) -> AsyncIterator[PausableServer]:
    """Run it for the length of a block; killed at the end with all its children."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *tied(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env=env,
        )
    server = PausableServer(psutil.Process(process.pid), log)
    try:
        yield server
    finally:
        with suppress(psutil.NoSuchProcess):
            for child in [*server.process.children(recursive=True), server.process]:
                child.kill()
        await process.wait()
