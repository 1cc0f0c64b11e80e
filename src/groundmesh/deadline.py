"""The time that is left for the running call, known everywhere below its handler."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

DEADLINE_MARGIN_S = 0.05
"""What a hop keeps for itself of the time it was given, so that it can still answer."""

_deadline: ContextVar[float | None] = ContextVar("groundmesh_deadline", default=None)


def remaining() -> float | None:
    """Seconds left for the running call (0.0 when it is over); None when it has no deadline."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def expired() -> bool:
    """Whether the running call's time is over, so that nobody waits for its result."""
    return remaining() == 0.0


def downstream_timeout() -> float | None:
    """The timeout for a call made now: what is left less the margin, at least half of it."""
    left = remaining()
    return None if left is None else max(left - DEADLINE_MARGIN_S, left / 2)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Give a block ``seconds`` from now, or the time it has already, whichever ends first.

    This only makes the deadline known; it does not interrupt the block.
    """
    current = _deadline.get()
    mine = None if seconds is None else time.monotonic() + seconds
    both = [deadline for deadline in (current, mine) if deadline is not None]
    token = _deadline.set(min(both, default=None))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def own_time(seconds: float) -> Iterator[None]:
    """Give a block ``seconds`` from now, whatever is left for the call that began it.

    For work that several calls wait for, and that belongs to none of them.
    """
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)
