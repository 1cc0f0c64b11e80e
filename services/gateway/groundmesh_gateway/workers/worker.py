"""One worker process, as the gateway holds it."""

import asyncio
import os
import signal
import sys
import tempfile
from typing import BinaryIO

from groundmesh_gateway.workers.frames import Frame, FrameError, pieces, receive
from groundmesh_gateway.workers.limits import STARVED_EXIT_CODE
from groundmesh_gateway.workers.memory import MemoryWatch

_START_TIMEOUT_S = 60.0
"""Until a worker is ready: a second's work, on a machine that may be busy with other things."""
_REAP_TIMEOUT_S = 5.0
_BUFFER_BYTES = 1024 * 1024
_LAST_WORDS_BYTES = 4096
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
"""Of the environment; the rest may hold secrets, which a parser of untrusted files needs not."""


_SINGLE_THREADED = {
    "MALLOC_ARENA_MAX": "2",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TOKIO_WORKER_THREADS": "1",
}
"""A worker works on one document; each thread of a library would take 64 MiB of its addresses."""


class WorkerDied(Exception):
    """A worker ended, or went mad, instead of answering."""

    def __init__(self, how: str, *, starved: bool) -> None:
        """``starved``: for want of memory."""
        super().__init__(how)
        self.starved = starved


class Worker:
    """A process that does one job at a time; after any failure it is good for nothing but kill."""

    def __init__(
        self, process: asyncio.subprocess.Process, *, errors: BinaryIO, memory_bytes: int
    ) -> None:
        """Use ``start``."""
        self._process = process
        self._errors = errors
        self._memory = MemoryWatch(process.pid, memory_bytes)
        self.jobs = 0
        self.tokenizer_sha256 = ""
        """Of the tokenizer that it holds; a job that needs another one brings it."""

    @classmethod
    async def start(cls, *, memory_bytes: int) -> "Worker":
        """Start a process and wait until it takes jobs; OSError when that can't be."""
        # -B: the limit on file sizes would cut bytecode off, which breaks a library for everybody.
        command = (sys.executable, "-B", "-P", "-m", "groundmesh_gateway.workers.child")
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        try:
            process = await asyncio.create_subprocess_exec(
                *(*command, str(os.getpid()), str(memory_bytes)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**environment, **_SINGLE_THREADED},
                limit=_BUFFER_BYTES,
            )
        except BaseException:
            errors.close()
            raise
        worker = cls(process, errors=errors, memory_bytes=memory_bytes)
        await worker._wait_until_ready()
        return worker

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def call(self, frame: Frame, *, max_blob_bytes: int) -> Frame:
        """Send a job and wait for the answer; WorkerDied when there is none."""
        assert self._process.stdin is not None  # noqa: S101 - it was started with a pipe
        self.jobs += 1
        try:
            with self._memory:
                for piece in pieces(frame):
                    self._process.stdin.write(piece)
                    await self._process.stdin.drain()
                return await self._receive(max_blob_bytes=max_blob_bytes)
        except FrameError as error:
            raise WorkerDied(f"it answered nonsense: {error}", starved=False) from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise await self._death() from error

    async def kill(self) -> None:
        """End it now, whatever it does, and free what it held; twice is no harm."""
        if self.alive:
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_REAP_TIMEOUT_S):
                await self._process.wait()
        finally:
            self._errors.close()

    async def _wait_until_ready(self) -> None:
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._receive(max_blob_bytes=0)
        except (asyncio.IncompleteReadError, FrameError, TimeoutError) as error:
            said = self._last_words().decode(errors="replace").strip()
            await self.kill()
            raise OSError(f"a parse worker did not start: {said or error}") from error
        except BaseException:
            await self.kill()
            raise

    async def _death(self) -> WorkerDied:
        async with asyncio.timeout(_REAP_TIMEOUT_S):
            code = await self._process.wait()
        if code >= 0:
            return WorkerDied(f"exit code {code}", starved=code == STARVED_EXIT_CODE)
        # Nobody here has sent SIGKILL yet: it was the kernel's out-of-memory killer. Native
        # libraries abort, in one way or another, when an allocation is refused.
        starved = code == -signal.SIGKILL or self._memory.was_short
        return WorkerDied(signal.Signals(-code).name, starved=starved)

    async def _receive(self, *, max_blob_bytes: int) -> Frame:
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        return await receive(self._process.stdout, max_blob_bytes=max_blob_bytes)

    def _last_words(self) -> bytes:
        """The end of what it wrote to standard error before it had seen a document."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_WORDS_BYTES))
        return self._errors.read()
