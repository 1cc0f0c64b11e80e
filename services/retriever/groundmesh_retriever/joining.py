"""Work of many callers done together, where a hundred pieces cost little more than one."""

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Q = TypeVar("Q")
R = TypeVar("R")

Together = Callable[[list[Q]], Awaitable[Sequence[R | Exception]]]
"""Does some pieces at once: the result or the error of each. What it raises is the error of all.

It has an end in time of its own: it runs in nobody's name and with nobody's deadline.
"""


@dataclass(eq=False)
class _Order(Generic[Q, R]):
    """A piece of work, and where what comes of it is waited for."""

    piece: Q
    size: int
    result: asyncio.Future[R] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Joining(Generic[Q, R]):
    """One round of work after the other.

    What comes while a round is under way is done in the next; nothing waits for more to come. A
    caller that goes takes its piece along as long as that has not begun; what has begun goes on to
    its end, since others' pieces are in it.
    """

    def __init__(self, together: Together[Q, R], *, most: int) -> None:
        """A round takes pieces of ``most`` in all, unless one alone is larger."""
        self._lock = asyncio.Lock()
        """Held during a round."""
        self._together = together
        self._most = most
        self._waiting: deque[_Order[Q, R]] = deque()
        self._rounds: asyncio.Task[None] | None = None

    async def do(self, piece: Q, *, size: int = 1) -> R:
        """Have a piece done, with whatever others; its result, or raise its error."""
        order = _Order[Q, R](piece, size)
        self._waiting.append(order)
        if self._rounds is None:
            nobody = contextvars.Context()
            self._rounds = asyncio.create_task(self._work(), context=nobody)
        return await order.result

    @asynccontextmanager
    async def between_rounds(self) -> AsyncIterator[None]:
        """A block that runs beside no round; it keeps this object alive, unlike its lock would."""
        async with self._lock:
            yield

    async def close(self) -> None:
        """Give up what has not ended."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.wait([self._rounds])

    async def _work(self) -> None:
        orders: list[_Order[Q, R]] = []
        try:
            while self._waiting:
                async with self._lock:  # what comes while it is waited for comes along
                    orders = self._next()
                    if orders:
                        await self._round(orders)
        finally:
            self._rounds = None
            for order in (*orders, *self._waiting):
                order.result.cancel()

    async def _round(self, orders: Sequence[_Order[Q, R]]) -> None:
        results: Sequence[R | Exception]
        try:
            results = await self._together([order.piece for order in orders])
        except Exception as error:  # noqa: BLE001 - it is each caller's, who raises it
            results = [error] * len(orders)
        for order, result in zip(orders, results, strict=True):
            if order.result.done():
                continue
            if isinstance(result, Exception):
                order.result.set_exception(result)
            else:
                order.result.set_result(result)

    def _next(self) -> list[_Order[Q, R]]:
        orders: list[_Order[Q, R]] = []
        room = self._most
        while self._waiting and (not orders or self._waiting[0].size <= room):
            order = self._waiting.popleft()
            if not order.result.done():  # its caller has not gone
                orders.append(order)
                room -= order.size
        return orders
