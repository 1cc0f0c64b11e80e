"""A few worker processes for many documents."""

import asyncio
import logging
from dataclasses import asdict, dataclass

from groundmesh.errors import MeshError, Reason, Unavailable
from groundmesh_gateway.parsing.document import unusable
from groundmesh_gateway.preparing import Job, Prepared
from groundmesh_gateway.workers.frames import Frame
from groundmesh_gateway.workers.limits import WorkerLimits
from groundmesh_gateway.workers.worker import Worker, WorkerDied

_log = logging.getLogger(__name__)

_HOPELESS_STARTS = 3
"""A machine that is short of processes for a moment must not end the answers of this gateway."""

_LINES_FACTOR = 2
"""The lines that describe the chunks are below this multiple of the text, but for odd settings."""


@dataclass(frozen=True)
class TokenizerFile:
    """A ``tokenizer.json`` and its hash in hex."""

    json: bytes
    sha256: str


class WorkerPool:
    """At most ``size`` workers, each started when there is work for it."""

    def __init__(self, size: int, limits: WorkerLimits) -> None:
        """No process is started yet."""
        self._limits = limits
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._closed = False
        self._no_worker: Unavailable | None = None
        self._failed_starts = 0
        self.waiting = 0
        """Documents that wait for a worker."""

    @property
    def busy(self) -> int:
        """Workers that have a document."""
        return len(self._busy)

    def check(self) -> None:
        """Raise when no worker could be started several times in a row: a restart may mend that."""
        if self._no_worker is not None and self._failed_starts >= _HOPELESS_STARTS:
            raise self._no_worker

    async def prepare(self, job: Job, data: bytes, tokenizer: TokenizerFile) -> Prepared:
        """Parse and split a document; MeshError with the reason when that fails.

        Cancelling this kills the worker, as the time limit does; no other document is touched.
        """
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        try:
            return _prepared(await self._answer(job, data, tokenizer))
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Kill every worker; what they had fails, and nothing is taken any more."""
        self._closed = True
        for worker in (*self._idle, *self._busy):
            await worker.kill()
        self._idle.clear()

    async def _answer(self, job: Job, data: bytes, tokenizer: TokenizerFile) -> Frame:
        while True:
            worker = await self._take()
            fresh = worker.jobs == 0
            try:
                return await self._ask(worker, job, data, tokenizer)
            except WorkerDied as death:
                _log.warning("a parse worker died: %s", death)
                if fresh:
                    raise _verdict(death) from death
                # What killed it may be left from a document before: only a fresh one can tell.

    async def _ask(self, worker: Worker, job: Job, data: bytes, tokenizer: TokenizerFile) -> Frame:
        known = worker.tokenizer_sha256 == tokenizer.sha256
        frame = Frame(asdict(job), (data,) if known else (data, tokenizer.json))
        timeout_s = self._limits.timeout_for(len(data))
        answered = False
        self._busy.add(worker)
        try:
            async with asyncio.timeout(timeout_s):
                limit = _LINES_FACTOR * self._limits.max_text_bytes
                answer = await worker.call(frame, max_blob_bytes=limit)
            worker.tokenizer_sha256 = tokenizer.sha256
            answered = True
        except TimeoutError:
            message = f"parsing it took longer than {timeout_s:.0f} s"
            raise unusable(Reason.PARSER_TIMED_OUT, message) from None
        finally:
            self._busy.discard(worker)
            if answered and worker.jobs < self._limits.jobs_per_worker and not self._closed:
                self._idle.append(worker)
            else:
                await worker.kill()
        return answer

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            await worker.kill()
        if self._closed:
            raise Unavailable("the gateway is stopping", reason=Reason.DRAINING)
        try:
            worker = await Worker.start(memory_bytes=self._limits.memory_bytes)
        except OSError as error:
            self._failed_starts += 1
            self._no_worker = Unavailable(f"no parse worker: {error}", reason=Reason.NOT_READY)
            raise self._no_worker from error
        self._no_worker, self._failed_starts = None, 0
        return worker


def _prepared(answer: Frame) -> Prepared:
    if "reason" in answer.header:
        raise unusable(Reason(answer.header["reason"]), answer.header["message"])
    text, outline, chunk_lines = answer.blobs
    return Prepared(text=text, outline=outline, chunk_lines=chunk_lines, **answer.header)


def _verdict(death: WorkerDied) -> MeshError:
    if death.starved:
        return unusable(Reason.PARSER_OUT_OF_MEMORY, "parsing it took too much memory")
    return unusable(Reason.PARSER_CRASHED, f"its parser crashed ({death})")
