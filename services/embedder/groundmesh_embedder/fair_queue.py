"""Who runs next: a bounded queue that is fair between calls, interactive ones first.

Plain data, used from the event loop only: it neither waits nor runs anything.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from groundmesh.errors import MeshError
from groundmesh_embedder.backends.base import Encoded, Rows, Runner

BULK_SHARE = 8
"""One part in this many of every round is kept for bulk calls, so that they always move."""


class Lane(IntEnum):
    """Who goes first."""

    INTERACTIVE = 0
    BULK = 1


@dataclass(frozen=True)
class Turn:
    """How a call is queued."""

    lane: Lane = Lane.INTERACTIVE
    patient: bool = False
    """Wait for room in a full queue instead of being refused."""


AT_ONCE = Turn()
"""What a call gets when nothing else is asked for."""


@dataclass(eq=False, slots=True)
class Call:
    """What one caller wants run; its entries are queued, dropped and answered together."""

    runner: Runner
    lane: Lane
    inputs: Sequence[Encoded]
    deadline: float | None
    """On the monotonic clock; None: the caller waits for ever."""
    done: asyncio.Future[None]
    queued_at: float = field(init=False, default_factory=time.monotonic)
    started_at: float | None = field(init=False, default=None)
    compute_s: float = field(init=False, default=0.0)
    error: MeshError | None = field(init=False, default=None)
    waiting: deque["Entry"] = field(init=False)
    _rows: dict[int, Rows] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        entries = [Entry(self, index, encoded) for index, encoded in enumerate(self.inputs)]
        # Neighbours of like length end up in the same batch, and little of it is padding.
        self.waiting = deque(sorted(entries, key=lambda entry: entry.tokens, reverse=True))

    @property
    def over(self) -> bool:
        """Whether it is answered, has failed, or its caller has gone."""
        return self.done.done()

    def deliver(self, index: int, row: Rows) -> None:
        """Give it the row of one input; with the last one it is answered."""
        self._rows[index] = row
        if len(self._rows) == len(self.inputs) and not self.over:
            self.done.set_result(None)

    def fail(self, error: MeshError) -> None:
        """Answer it with an error, unless it is over."""
        if not self.over:
            self.error = error
            self.done.set_result(None)

    def rows(self) -> Rows:
        """All rows in the order of the inputs, or the error that it failed with."""
        if self.error is not None:
            raise self.error
        return np.stack([self._rows[index] for index in range(len(self.inputs))])


@dataclass(eq=False, slots=True)
class Entry:
    """One input of a call."""

    call: Call
    index: int
    encoded: Encoded

    @property
    def tokens(self) -> int:
        """What it takes of a batch."""
        return self.encoded.read


class FairQueue:
    """Calls that wait, bounded by inputs and tokens."""

    def __init__(self, *, max_items: int, max_tokens: int) -> None:
        self.max_items = max_items
        self.max_tokens = max_tokens
        self.items = 0
        self.tokens = 0
        self._lanes: dict[Lane, OrderedDict[Call, None]] = {lane: OrderedDict() for lane in Lane}

    def __bool__(self) -> bool:
        return any(self._lanes.values())

    def fits(self, inputs: Sequence[Encoded]) -> bool:
        """Whether there is room; an empty queue takes any call, however large."""
        return not self or (
            self.items + len(inputs) <= self.max_items
            and self.tokens + sum(encoded.read for encoded in inputs) <= self.max_tokens
        )

    @property
    def full(self) -> bool:
        """Whether not even one more token fits."""
        return self.items >= self.max_items or self.tokens >= self.max_tokens

    def add(self, call: Call) -> None:
        """Put a call at the end of its lane."""
        self._lanes[call.lane][call] = None
        self._count(call.waiting, +1)

    def discard(self, call: Call) -> None:
        """Take out what of a call still waits, if anything does."""
        if call in self._lanes[call.lane]:
            del self._lanes[call.lane][call]
            self._count(call.waiting, -1)

    def take(self, tokens: int) -> list[Entry]:
        """The next round of entries, about ``tokens`` of them; each call in turn gives one.

        Interactive calls fill it, bulk calls get what they leave and always their share. Either
        may overshoot by one entry, so that no entry is too long to ever run.
        """
        interactive, bulk = self._lanes[Lane.INTERACTIVE], self._lanes[Lane.BULK]
        share = max(1, tokens // BULK_SHARE) if bulk else 0
        taken = self._draw(interactive, tokens - share)
        left = tokens - sum(entry.tokens for entry in taken)
        return taken + self._draw(bulk, max(share, left))

    def _draw(self, lane: OrderedDict[Call, None], tokens: int) -> list[Entry]:
        taken: list[Entry] = []
        while lane and tokens > 0:
            call = next(iter(lane))
            entry = call.waiting.popleft()
            if call.waiting:
                lane.move_to_end(call)
            else:
                del lane[call]
            taken.append(entry)
            tokens -= entry.tokens
        self._count(taken, -1)
        return taken

    def _count(self, entries: Iterable[Entry], sign: int) -> None:
        for entry in entries:
            self.items += sign
            self.tokens += sign * entry.tokens
