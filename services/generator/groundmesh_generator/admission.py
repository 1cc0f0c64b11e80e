"""Who may go to the engine: bounds on what waits there, interactive before bulk.

The engine's scheduler orders what it was given. What this decides is whether it is given: a request
that would wait too long, or beyond its deadline, is refused at once, and bulk requests take no
more than a share of the engine, so that an interactive one never waits for many of them to end.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from groundmesh import deadline
from groundmesh.errors import ResourceExhausted
from groundmesh_generator.backends.base import Priority
from groundmesh_generator.pace import Pace

LEAST_RETRY_S = 0.1
LONGEST_RETRY_S = 30.0


@dataclass(frozen=True)
class AdmissionLimits:
    """What may wait, and how much of the engine bulk requests may take."""

    max_waiting_tokens: int = 65_536
    max_wait_s: float = 120.0
    max_running_bulk: int = 16
    max_waiting_bulk: int = 64


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks of the engine."""

    priority: Priority
    prompt_tokens: int
    least_unread: int
    """Tokens of the prompt that no prefix cache can have."""
    max_tokens: int
    """Prompt and answers together."""
    answers: int = 1
    """Each of them is a request of its own where the engine counts."""


@dataclass(eq=False, frozen=True, slots=True)
class Place:
    """A request that was admitted."""

    demand: Demand


class Admission:
    """Bounds what waits for one engine."""

    def __init__(
        self,
        limits: AdmissionLimits,
        *,
        engine_waiting: Callable[[], int],
        cache_tokens: Callable[[], int],
    ) -> None:
        """Both ask the engine.

        ``engine_waiting`` says how many requests it has not begun, ``cache_tokens`` how many
        tokens of all requests together it can hold, 0 when it does not know.
        """
        self.pace = Pace()
        self._limits = limits
        self._engine_waiting = engine_waiting
        self._cache_tokens = cache_tokens
        self._inside: dict[Place, None] = {}  # the engine, in the order in which it was given them
        self._unread: dict[Place, None] = {}  # of those, in the same order
        self._turns: deque[tuple[Place, asyncio.Future[None]]] = deque()
        self._running_bulk: set[Place] = set()
        self._read_at = 0.0

    @property
    def held_back(self) -> int:
        """Bulk requests that are not in the engine yet."""
        return len(self._turns)

    @property
    def waiting_tokens(self) -> int:
        """Tokens of all prompts that are not read yet."""
        return sum(place.demand.prompt_tokens for place in self._before(max(Priority)))

    @asynccontextmanager
    async def place(self, demand: Demand) -> AsyncIterator[Place]:
        """Run the block with a place, which ``enter`` takes; a bulk request once it is its turn.

        ResourceExhausted, at once, when too much waits or the call's deadline can't be met.
        """
        self._require_room(demand)
        self._require_time(demand)
        place = Place(demand)
        try:
            if demand.priority is Priority.BULK:
                await self._turn(place)
            yield place
        finally:
            self._inside.pop(place, None)
            self._unread.pop(place, None)
            self._running_bulk.discard(place)
            self._hand_out_turns()

    def enter(self, place: Place) -> None:
        """Say that a request goes to the engine now: nothing else keeps it any more.

        ResourceExhausted when others have taken the room while something did. Bulk has its share.
        """
        if place.demand.priority is not Priority.BULK:
            self._require_room(place.demand)
        if not self._unread:
            self._read_at = time.monotonic()  # until now there was nothing to read
        self._inside[place] = self._unread[place] = None

    def read(self, place: Place) -> None:
        """Say that a prompt is read: its first token is there. Callable again."""
        if place in self._unread:
            del self._unread[place]
            now = time.monotonic()
            self.pace.learn_flow(tokens=place.demand.prompt_tokens, seconds=now - self._read_at)
            self._read_at = now

    def _require_room(self, demand: Demand) -> None:
        ahead = [each.demand.prompt_tokens for each in self._before(demand.priority)]
        wait_s = self.pace.expected_s(sum(ahead))
        if ahead and sum(ahead) + demand.prompt_tokens > self._limits.max_waiting_tokens:
            raise _overloaded(f"prompts of {sum(ahead)} tokens wait", retry_s=wait_s / 2)
        if wait_s > self._limits.max_wait_s:
            over_s = wait_s - self._limits.max_wait_s
            raise _overloaded(f"the wait would be some {wait_s:.0f} s", retry_s=over_s)
        if self._would_be_held_back(demand) and self.held_back >= self._limits.max_waiting_bulk:
            raise _overloaded(f"{self.held_back} bulk requests wait", retry_s=wait_s)

    def _require_time(self, demand: Demand) -> None:
        left_s = deadline.remaining()
        ahead = sum(each.demand.least_unread for each in self._not_begun(demand.priority))
        least_s = self.pace.least_s(ahead + demand.least_unread)
        if left_s is not None and least_s > left_s:
            raise _overloaded(
                f"the deadline can't be met: {ahead + demand.least_unread} tokens are to be read,"
                f" which takes {least_s:.1f} s at least, and {left_s:.1f} s are left",
                retry_s=self.pace.expected_s(ahead),
            )

    def _before(self, priority: Priority) -> list[Place]:
        """What is not read yet and goes before a request that comes now."""
        waiting = (*self._unread, *(place for place, _ in self._turns))
        return [place for place in waiting if place.demand.priority <= priority]

    def _not_begun(self, priority: Priority) -> list[Place]:
        """Of these, what the engine will surely read before it, and has not begun."""
        unread = [place for place in self._unread if place.demand.priority <= priority]
        # Those that don't go before, and further answers to a prompt that is begun, may be the ones
        # that the engine counts as waiting.
        others = len(self._unread) - len(unread)
        further = sum(place.demand.answers - 1 for place in self._inside)
        waiting = self._engine_waiting() - others - further
        begun = set(unread[: max(1, len(unread) - max(0, waiting))])
        return [place for place in self._before(priority) if place not in begun]

    async def _turn(self, place: Place) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (place, turn)
        self._turns.append(entry)
        self._hand_out_turns()
        try:
            await turn
        finally:
            with suppress(ValueError):  # it was handed out
                self._turns.remove(entry)

    def _hand_out_turns(self) -> None:
        while self._turns and self._has_room_for(self._turns[0][0].demand):
            place, turn = self._turns.popleft()
            if not turn.done():
                self._running_bulk.add(place)
                turn.set_result(None)

    def _would_be_held_back(self, demand: Demand) -> bool:
        has_to_wait = bool(self._turns) or not self._has_room_for(demand)
        return demand.priority is Priority.BULK and has_to_wait

    def _has_room_for(self, demand: Demand) -> bool:
        if not self._running_bulk:
            return True
        held = sum(each.demand.max_tokens for each in self._running_bulk)
        cache_tokens = self._cache_tokens()
        return len(self._running_bulk) < self._limits.max_running_bulk and (
            not cache_tokens or held + demand.max_tokens <= cache_tokens // 2
        )


def _overloaded(why: str, *, retry_s: float) -> ResourceExhausted:
    return ResourceExhausted(
        f"the generator takes no more: {why}",
        retry_after_s=min(max(retry_s, LEAST_RETRY_S), LONGEST_RETRY_S),
    )
