"""A service as a process of its own, as `groundmesh up` would start it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from groundmesh.lifetime import tied
from tests.waiting import until


@dataclass(frozen=True)
class ServiceProcess:
    """A process and what it has logged."""

    process: asyncio.subprocess.Process
    log: Path

    def logged(self, key: str) -> str | None:
        """The last value that a line of the log has under ``key``."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        values = [fields[key] for line in lines if key in (fields := json.loads(line))]
        return str(values[-1]) if values else None

    async def address(self, *, within_s: float = 60) -> str:
        """Where it listens."""
        await until(lambda: self.logged("address") or self.over, within_s=within_s)
        return self.logged("address") or self.fail()

    async def ready(self, *, within_s: float) -> str:
        """Where it serves, once its engine has answered."""
        await until(lambda: self.logged("startup_s") or self.over, within_s=within_s)
        if self.over:
            self.fail()
        return await self.address()

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.process.returncode is not None

    def fail(self) -> str:
        """Fail with all that it said."""
        raise AssertionError(f"it ended with {self.process.returncode}: {self.log.read_text()}")


@asynccontextmanager
async def service_process(module: str, *flags: str, folder: Path) -> AsyncIterator[ServiceProcess]:
    """``python -m module`` on a free port for the length of a block; killed at its end."""
    log = folder / f"{module}.log"
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *tied((sys.executable, "-m", module, "--port", "0", *flags)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        yield ServiceProcess(process, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
