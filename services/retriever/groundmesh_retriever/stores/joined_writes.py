"""Rows of many writers in few requests: a store takes a hundred rows nearly as fast as one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Send = Callable[[list[Row]], Awaitable[object]]


@dataclass(eq=False)
class _Order:
    """Rows of one writer, and what came of them."""

    rows: Sequence[Row]
    wanted: bool = True
    done: bool = False
    error: Exception | None = None


class JoinedWrites:
    """The writes to one index, one request after the other.

    What comes while a request is under way goes out together with the next; nothing waits for more
    to come. There is no task behind it: of those who wait, the first sends for all.
    """

    def __init__(self, *, most_rows: int) -> None:
        """``most_rows`` go into one request, unless a single writer brings more."""
        self.lock = asyncio.Lock()
        """Held during a request; whoever changes the index in another way holds it, too."""
        self._most_rows = most_rows
        self._waiting: deque[_Order] = deque()

    async def write(self, rows: Sequence[Row], send: Send) -> None:
        """Return when the rows were sent, with whatever others; raise what sending them raised."""
        order = _Order(rows)
        self._waiting.append(order)
        try:
            async with self.lock:
                while not order.done:
                    await self._send_next(send)
        finally:
            order.wanted = False
            if order in self._waiting:
                self._waiting.remove(order)
        if order.error is not None:
            raise order.error

    async def _send_next(self, send: Send) -> None:
        orders = self._next()
        try:
            await send([row for order in orders for row in order.rows])
        except Exception as error:  # noqa: BLE001 - it is each writer's, who raises it
            for order in orders:
                order.error = error
        except asyncio.CancelledError:
            # Only this writer has gone. Rows have keys: the others' may well be sent again.
            self._waiting.extendleft(order for order in reversed(orders) if order.wanted)
            raise
        for order in orders:
            order.done = True

    def _next(self) -> list[_Order]:
        orders = [self._waiting.popleft()]
        room = self._most_rows - len(orders[0].rows)
        while self._waiting and len(self._waiting[0].rows) <= room:
            orders.append(self._waiting.popleft())
            room -= len(orders[-1].rows)
        return orders
