"""Runs what is queued, round by round, in the model's thread."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from groundmesh import deadline
from groundmesh.errors import (
    DeadlineExceeded,
    Internal,
    MeshError,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh_embedder.backends.base import Encoded, Rows, Runner
from groundmesh_embedder.batching import cut
from groundmesh_embedder.fair_queue import Call, Entry, FairQueue, Turn
from groundmesh_embedder.worker import Worker

log = logging.getLogger(__name__)

RETRY_AFTER_S = (0.1, 30.0)
"""Bounds of what a refused caller is told to wait."""


@dataclass(frozen=True)
class Outcome:
    """What became of a call."""

    rows: Rows
    queue_s: float
    """How long it waited for its turn."""
    compute_s: float
    """How long the batches ran that held its inputs."""


class Scheduler:
    """The one task that takes from the queue, and the way into the queue."""

    def __init__(self, queue: FairQueue, worker: Worker, *, batch_tokens: int) -> None:
        self.running_tokens = 0
        self._queue = queue
        self._worker = worker
        self._batch_tokens = batch_tokens
        self._calls: set[Call] = set()
        self._arrived = asyncio.Event()
        self._freed = asyncio.Event()
        self._patience = asyncio.Lock()
        self._tokens_per_s: float | None = None
        self._closed = False
        self._task = asyncio.create_task(self._dispatch(), name="embedder-scheduler")

    async def run(self, runner: Runner, inputs: Sequence[Encoded], *, turn: Turn) -> Outcome:
        """Have inputs run; when the queue is full, a patient turn waits and others are refused."""
        await self._admit(inputs, patient=turn.patient)
        left = deadline.remaining()
        call = Call(
            runner=runner,
            lane=turn.lane,
            inputs=inputs,
            deadline=None if left is None else time.monotonic() + left,
            done=asyncio.get_running_loop().create_future(),
        )
        self._calls.add(call)
        self._queue.add(call)
        self._arrived.set()
        try:
            await call.done
        finally:  # also when the caller has gone
            self._calls.discard(call)
            self._queue.discard(call)
            self._freed.set()
        started = call.started_at or call.queued_at
        return Outcome(call.rows(), started - call.queued_at, call.compute_s)

    def ensure_room(self, turn: Turn) -> None:
        """Raise at once what ``run`` would raise, before any work is put into the inputs."""
        self._ensure_open()
        if self._queue.full and not turn.patient:
            raise self._overloaded()

    def check(self, *, stuck_after_s: float) -> None:
        """Raise when nothing will run any more, or a batch has run for too long."""
        if self._task.done() or not self._worker.alive:
            raise Unavailable("the embedder's worker has ended", reason=Reason.ENGINE_DEAD)
        if self._worker.busy_s > stuck_after_s:
            raise Unavailable(
                f"one batch has run for {self._worker.busy_s:.0f} s", reason=Reason.ENGINE_DEAD
            )

    async def close(self) -> None:
        """Take nothing more and fail what waits or runs; a batch that runs ends unheard."""
        self._closed = True
        self._freed.set()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _admit(self, inputs: Sequence[Encoded], *, patient: bool) -> None:
        self._ensure_open()
        if not patient:
            if not self._queue.fits(inputs):
                raise self._overloaded()
            return
        async with self._patience:  # in order, so that a large call isn't overtaken for ever
            while not self._queue.fits(inputs):
                self._freed.clear()
                await self._freed.wait()
                self._ensure_open()

    def _ensure_open(self) -> None:
        if self._closed or self._task.done():
            raise _closing()

    async def _dispatch(self) -> None:
        try:
            while True:
                await self._arrived.wait()
                while self._queue:
                    await self._round()
                self._arrived.clear()
        finally:
            for call in self._calls:
                call.fail(_closing())

    async def _round(self) -> None:
        self._drop_expired()
        batches = cut(self._queue.take(self._batch_tokens))
        self._freed.set()
        for batch in batches:
            self._drop_expired()
            wanted = [entry for entry in batch if not entry.call.over]
            if wanted:
                await self._run(wanted)

    def _drop_expired(self) -> None:
        now = time.monotonic()
        for call in self._calls:
            if call.deadline is not None and call.deadline <= now:
                call.fail(DeadlineExceeded("the time was over before the call's turn came"))
                self._queue.discard(call)

    async def _run(self, batch: list[Entry]) -> None:
        calls = {entry.call for entry in batch}
        self.running_tokens = sum(entry.tokens for entry in batch)
        began = time.monotonic()
        for call in calls:
            call.started_at = call.started_at or began
        job = partial(_rows_of, batch[0].call.runner, [entry.encoded for entry in batch])
        try:
            rows, finite = await self._worker.run(job)
        except MeshError as error:
            _fail(calls, error)
        except Exception:
            log.exception("a batch of %d inputs failed", len(batch))
            _fail(calls, Internal("the model failed on the batch that held this input"))
        else:
            self._measure(time.monotonic() - began, calls)
            _deliver(batch, rows, finite)
        finally:
            self.running_tokens = 0

    def _measure(self, seconds: float, calls: set[Call]) -> None:
        for call in calls:
            call.compute_s += seconds
        speed = self.running_tokens / max(seconds, 1e-6)
        self._tokens_per_s = 0.8 * (self._tokens_per_s or speed) + 0.2 * speed

    def _overloaded(self) -> ResourceExhausted:
        shortest, longest = RETRY_AFTER_S
        expected = self._queue.tokens / self._tokens_per_s if self._tokens_per_s else 1.0
        return ResourceExhausted(
            f"the embedder's queue is full: {self._queue.items} texts wait",
            retry_after_s=min(max(expected, shortest), longest),
        )


def _rows_of(runner: Runner, inputs: Sequence[Encoded]) -> tuple[Rows, NDArray[np.bool_]]:
    """The rows of a batch, and for each whether all of its numbers are finite."""
    rows = runner.run(inputs)
    finite: NDArray[np.bool_] = np.isfinite(rows).reshape(len(inputs), -1).min(axis=1)
    return rows, finite


def _deliver(batch: Sequence[Entry], rows: Rows, finite: NDArray[np.bool_]) -> None:
    for entry, row, good in zip(batch, rows, finite, strict=True):
        if good:
            entry.call.deliver(entry.index, row)
        else:
            entry.call.fail(Internal(f"the model gave no finite numbers for input {entry.index}"))


def _fail(calls: set[Call], error: MeshError) -> None:
    for call in calls:
        call.fail(error)


def _closing() -> Unavailable:
    return Unavailable("the embedder is shutting down", reason=Reason.DRAINING)
