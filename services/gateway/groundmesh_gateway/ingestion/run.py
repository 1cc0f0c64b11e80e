"""One stream of documents, from its beginning to its end."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from groundmesh.errors import Internal, MeshError
from groundmesh_gateway.ingestion.budget import Budget, Held
from groundmesh_gateway.ingestion.model import DocumentDone, Outcome, Progress, Step
from groundmesh_gateway.ingestion.pipeline import Pipeline, described
from groundmesh_gateway.ingestion.receiving import Arrival, Receiver
from groundmesh_gateway.ingestion.speed import Speedometer

_log = logging.getLogger(__name__)

_PROGRESS_INTERVAL_S = 1.0

Emit = Callable[[DocumentDone | Progress], Awaitable[None]]
"""Tells the client; waits while the client does not listen."""


@dataclass
class _Tally:
    """What has been done so far."""

    documents_done: int = 0
    documents_failed: int = 0
    chunks: int = 0

    def count(self, done: DocumentDone) -> None:
        self.documents_done += 1
        self.documents_failed += done.outcome is Outcome.FAILED

    def count_chunks(self, chunks: int) -> None:
        self.chunks += chunks


class IngestRun:
    """Takes a stream's documents through the pipeline side by side, and tells of each.

    Everything it starts ends with ``run``; cancelling that kills the workers that have its
    documents.
    """

    def __init__(
        self, pipeline: Pipeline, receiver: Receiver, *, documents_in_hand: int, emit: Emit
    ) -> None:
        """``documents_in_hand`` are worked on at a time."""
        self._pipeline = pipeline
        self._receiver = receiver
        self._places = Budget(documents_in_hand)
        self._emit = emit
        self._tally = _Tally()
        self._since = time.monotonic()
        self._speed = Speedometer(self._since, 0, 0)

    async def run(self, steps: AsyncIterator[Step], *, embed_calls: int) -> None:
        """Ingest until the stream ends and every document is done."""
        async with asyncio.TaskGroup() as helpers:
            embedding = [
                helpers.create_task(self._pipeline.batcher.work()) for _ in range(embed_calls)
            ]
            reporting = helpers.create_task(self._report())
            async with (
                asyncio.TaskGroup() as documents,
                aclosing(self._receiver.arrivals(steps)) as arrivals,
            ):
                while arrival := await self._next(arrivals):
                    task = documents.create_task(self._finish(arrival))
                    # Not in the task: one that is cancelled before its first step never runs.
                    task.add_done_callback(partial(self._release, arrival.held))
            for helper in (*embedding, reporting):
                helper.cancel()
        await self._emit(self._progress())

    async def _next(self, arrivals: AsyncIterator[Arrival]) -> Arrival | None:
        await self._places.acquire(1)  # before it is read, so that it is read only when wanted
        return await anext(arrivals, None)

    def _release(self, held: Held, _task: asyncio.Task[None]) -> None:
        held.resize(0)
        self._places.release(1)

    async def _finish(self, arrival: Arrival) -> None:
        done = await self._done(arrival)
        self._tally.count(done)
        await self._emit(done)

    async def _done(self, arrival: Arrival) -> DocumentDone:
        try:
            return await self._ingest(arrival)
        except MeshError as error:
            return DocumentDone(arrival.uri, Outcome.FAILED, error=error)
        except Exception:  # noqa: BLE001 - it is this document's alone: the others go on
            _log.exception("unexpected error with a document")
            fault = Internal("a fault of the service; its log has the details")
            return DocumentDone(arrival.uri, Outcome.FAILED, error=fault)

    async def _ingest(self, arrival: Arrival) -> DocumentDone:
        document = arrival.take()
        done = await self._pipeline.known(document)
        if done is not None:
            return done
        prepared = await self._pipeline.prepared(document)
        new = described(document, prepared)
        del document  # its bytes are not needed any more
        arrival.held.resize(prepared.size)
        return await self._pipeline.index(new, prepared, count=self._tally.count_chunks)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_INTERVAL_S)
            await self._emit(self._progress())

    def _progress(self) -> Progress:
        now = time.monotonic()
        chunks_per_s, bytes_per_s = self._speed.rates(
            now, self._tally.chunks, self._receiver.bytes_read
        )
        return Progress(
            documents_done=self._tally.documents_done,
            documents_failed=self._tally.documents_failed,
            chunks=self._tally.chunks,
            bytes_read=self._receiver.bytes_read,
            elapsed_s=now - self._since,
            chunks_per_s=chunks_per_s,
            bytes_per_s=bytes_per_s,
        )
