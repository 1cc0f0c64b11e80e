"""Waiting in tests: for what should come true soon, never for a fixed time."""

import asyncio
import time
from collections.abc import Callable

POLL_S = 0.01


async def until(condition: Callable[[], object], *, within_s: float = 10.0) -> None:
    """Wait until the condition holds; fail, naming it, when the time is over."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not true after {within_s} s: {condition}")
        await asyncio.sleep(POLL_S)
