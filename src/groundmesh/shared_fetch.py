"""One fetch for all who want the same thing at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from groundmesh.deadline import own_time
from groundmesh.errors import DeadlineExceeded, Reason, Unavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class _Flight(Generic[V]):
    task: asyncio.Task[V]
    waiting: int = 0


class SharedFetch(Generic[K, V]):
    """Fetches by key; whoever comes while a fetch runs gets its result, or its error.

    A fetch has time of its own: it acts for who came first (principal, request id), and neither
    that caller's deadline nor its leaving ends it while somebody else waits. Once nobody does, it
    is cancelled.
    """

    def __init__(self, fetch: Callable[[K], Awaitable[V]], *, limit_s: float) -> None:
        """``limit_s`` is what one fetch may take."""
        self._fetch = fetch
        self._limit_s = limit_s
        self._flights: dict[K, _Flight[V]] = {}
        self._tasks: set[asyncio.Task[V]] = set()  # cancelled ones, too, until they have ended

    async def get(self, key: K) -> V:
        """What a fetch of ``key`` gives; the caller's own cancellation is its alone."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = self._take_off(key)
        flight.waiting += 1
        try:
            await asyncio.wait({flight.task})
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                self._forget(key, flight.task)
                flight.task.cancel()
        if flight.task.cancelled():  # by ``close``: whoever waits was not
            raise Unavailable("the service is going down", reason=Reason.DRAINING)
        return flight.task.result()

    async def close(self) -> None:
        """End every fetch."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _take_off(self, key: K) -> _Flight[V]:
        task = asyncio.create_task(self._bounded(key), name=f"fetch {key}")
        self._tasks.add(task)
        task.add_done_callback(partial(self._over, key))
        return _Flight(task)

    async def _bounded(self, key: K) -> V:
        try:
            async with asyncio.timeout(self._limit_s):
                with own_time(self._limit_s):
                    return await self._fetch(key)
        except TimeoutError as error:
            raise DeadlineExceeded(f"fetching took longer than {self._limit_s:g} s") from error

    def _over(self, key: K, task: asyncio.Task[V]) -> None:
        self._forget(key, task)
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also when everybody has just left

    def _forget(self, key: K, task: asyncio.Task[V]) -> None:
        """Who comes from now on begins anew."""
        if key in self._flights and self._flights[key].task is task:
            del self._flights[key]
