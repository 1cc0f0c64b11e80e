"""A bound on how much is in hand: of bytes, of chunks, of documents."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """Lets so many units be in hand at once; who finds no room waits, first come, first served."""

    def __init__(self, limit: int) -> None:
        """Nothing is in hand."""
        self._limit = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.used = 0
        """Units in hand; more than the limit only by what grew in hand, or alone is larger."""

    async def acquire(self, units: int) -> None:
        """Take units, once there is room for them."""
        if not self._waiting and self._has_room(units):
            self.used += units
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((units, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(units)  # they came in the moment in which nobody wanted them any more
            raise

    def release(self, units: int) -> None:
        """Give units back."""
        self.used -= units
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.done() and not self._has_room(wanted):
                return
            self._waiting.popleft()
            if not turn.done():
                self.used += wanted
                turn.set_result(None)

    @asynccontextmanager
    async def holding(self, units: int) -> AsyncIterator[None]:
        """Have units in hand for the length of a block."""
        await self.acquire(units)
        try:
            yield
        finally:
            self.release(units)

    def _has_room(self, units: int) -> bool:
        return self.used + units <= self._limit or self.used == 0


class Held:
    """What one owner has of a budget, whose size shows only while it is in hand."""

    def __init__(self, budget: Budget) -> None:
        """Nothing yet."""
        self._budget = budget
        self._units = 0

    async def begin(self) -> None:
        """Wait until there is any room at all."""
        await self._budget.acquire(1)
        self._units = 1

    def resize(self, units: int) -> None:
        """Have so many units from now on; never waits, so that what is begun can be finished."""
        self._budget.release(self._units - units)
        self._units = units
