"""The trainer, as far as it is built: it shows that Ray works here."""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from groundmesh.errors import Reason, Unavailable
from groundmesh.server.engine import EngineInfo

logger = logging.getLogger(__name__)

END_LIMIT_S = 5.0  # the guard needs less


class Trainer:
    """An ``Engine`` of the chassis. Nothing of Ray runs once ``start`` has returned."""

    def __init__(self, ray_address: str | None, *, start_timeout_s: float) -> None:
        self._ray_address = ray_address
        self._start_timeout_s = start_timeout_s
        self._shown = False

    async def start(self) -> None:
        """Have Ray run a task: on this machine, or on the cluster that is set."""
        logger.info("TrainerService is not built yet: this trainer only shows that Ray works")
        python = (sys.executable, "-m")
        address = (self._ray_address,) if self._ray_address else ()
        command = (*python, "groundmesh_trainer.ray_check", *address)
        async with _guarded(*python, "groundmesh_trainer.guard", *command) as guard:
            try:
                async with asyncio.timeout(self._start_timeout_s):
                    said, _ = await guard.communicate()
            except TimeoutError:
                limit = f"{self._start_timeout_s:g} s"
                raise _broken(f"Ray did not run a task within {limit}") from None
        if guard.returncode != 0:
            *_, last = said.decode(errors="replace").splitlines() or ["it ended without a word"]
            raise _broken(f"Ray does not work here: {last}")
        self._shown = True

    async def check(self) -> None:
        """Nothing of Ray runs between jobs, so after the start nothing can have died."""
        if not self._shown:
            raise Unavailable("Ray has not run a task yet", reason=Reason.NOT_READY)

    async def stop(self) -> None:
        """Nothing is held."""

    def describe(self) -> EngineInfo:
        """Ray and its version."""
        return EngineInfo(engine="ray", engine_version=version("ray"))


@asynccontextmanager
async def _guarded(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the guard for a block; it ends when its standard input does, which also our end is."""
    its_end, our_end = os.pipe()
    try:
        guard = await asyncio.create_subprocess_exec(
            *command,
            stdin=its_end,
            stdout=PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Who supervises us kills our process group; the guard has to outlive that to clean up.
            start_new_session=True,
        )
    finally:
        os.close(its_end)
    try:
        yield guard
    finally:
        os.close(our_end)
        async with asyncio.timeout(END_LIMIT_S):
            await guard.wait()


def _broken(message: str) -> Unavailable:
    return Unavailable(message, reason=Reason.ENGINE_DEAD)
