"""A thread of its own for what blocks, one job at a time."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs jobs in one thread, in order.

    Unlike an executor's, the thread is a daemon: a library that is stuck can't hold up the end of
    the process. Jobs must be bounded in number by those who bring them.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._busy_since: float | None = None
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, job: Callable[[], T]) -> T:
        """The job's result or exception; a job whose caller has gone before its turn is not run."""
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return await asyncio.wrap_future(future)

    @property
    def alive(self) -> bool:
        """Whether the thread can still run jobs."""
        return self._thread.is_alive()

    @property
    def busy_s(self) -> float:
        """For how long the present job has run; 0.0 when idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    async def stop(self, *, timeout_s: float) -> bool:
        """End the thread after the jobs it has; False when it is still busy after the timeout."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            self._busy_since = time.monotonic()
            _settle(*item)
            self._busy_since = None
            del item  # an idle thread holds no result


def _settle(future: Future[T], job: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(job())
    except BaseException as error:  # noqa: BLE001 - it belongs to the caller, who gets it
        future.set_exception(error)
