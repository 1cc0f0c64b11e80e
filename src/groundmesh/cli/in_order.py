"""Work that is done a few at a time, and comes out in the order in which it went in."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 8
"""Times the concurrency: how many may be done, or waiting, behind one that takes long."""


async def in_order(
    items: Iterable[T], work: Callable[[T], Coroutine[Any, Any, R]], *, concurrency: int
) -> AsyncGenerator[R, None]:
    """What ``work`` makes of each item; close it early, and what runs is cancelled."""
    slots = asyncio.Semaphore(concurrency)

    async def one(item: T) -> R:
        async with slots:
            return await work(item)

    begun: deque[asyncio.Task[R]] = deque()
    try:
        for item in items:
            begun.append(asyncio.create_task(one(item)))
            if len(begun) == concurrency * _AHEAD:
                yield await begun[0]
                begun.popleft()
        while begun:
            yield await begun[0]
            begun.popleft()
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
