"""Who may run now, who waits, and who is told to come back: bounded in both."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from groundmesh.errors import ResourceExhausted

_Waiting = deque[asyncio.Future[None]]


class Admission:
    """Slots for calls and, apart from them, places for streams of requests.

    A unary or server-streaming call holds a slot while it runs; a bounded number wait for one,
    interactive calls before bulk ones. A call whose requests are a stream lasts as long as its
    caller likes and idles between messages: it would starve the others of slots, so it takes a
    place of its own kind, without queueing, and the service bounds the work of each message.
    """

    def __init__(self, *, max_running: int, max_waiting: int, max_streams: int) -> None:
        """All bounds are at least 1, but ``max_waiting`` may be 0."""
        self._max_waiting = max_waiting
        self._max_running = max_running
        self._max_streams = max_streams
        self._interactive: _Waiting = deque()
        self._bulk: _Waiting = deque()
        self._running = 0
        self._streams = 0
        self._held_s = 1.0  # how long a slot is held, a moving mean

    @property
    def running(self) -> int:
        """Calls that hold a slot."""
        return self._running

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot."""
        return len(self._interactive) + len(self._bulk)

    @property
    def streams(self) -> int:
        """Streams of requests that are open."""
        return self._streams

    @asynccontextmanager
    async def slot(self, *, bulk: bool = False) -> AsyncIterator[None]:
        """Run the block in a slot, waiting for one; ResourceExhausted when too many wait."""
        await self._acquire(self._bulk if bulk else self._interactive)
        since = time.monotonic()
        try:
            yield
        finally:
            self._held_s += 0.1 * (time.monotonic() - since - self._held_s)
            self._release()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Run the block in a place for a stream; ResourceExhausted at once when there is none."""
        if self._streams >= self._max_streams:
            raise self._overloaded(f"{self._streams} streams are open")
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def _acquire(self, line: _Waiting) -> None:
        if self._running < self._max_running:  # then nobody waits: _release hands slots over
            self._running += 1
            return
        if self.waiting >= self._max_waiting:
            self._make_room(line)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._release()  # the slot came in the moment in which the caller left
            with suppress(ValueError):  # a release may have dropped it from the line already
                line.remove(turn)
            raise

    def _make_room(self, line: _Waiting) -> None:
        """An interactive call may take the place of the bulk call that came last."""
        error = self._overloaded(f"{self._running} calls run and {self.waiting} wait")
        if line is self._bulk or not self._bulk:
            raise error
        last = self._bulk.pop()
        if not last.done():  # else its caller is just leaving, which makes room as well
            last.set_exception(error)

    def _release(self) -> None:
        for line in (self._interactive, self._bulk):
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._running -= 1

    def _overloaded(self, state: str) -> ResourceExhausted:
        wait_s = self._held_s * (self.waiting + 1) / self._max_running
        return ResourceExhausted(
            f"too many calls: {state}", retry_after_s=min(max(wait_s, 0.1), 10.0)
        )
