"""Calls that run at once, of which one that fails ends the others."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TypeVar

T = TypeVar("T")


async def together(calls: Sequence[Coroutine[None, None, T]]) -> list[T]:
    """The results in the order of the calls, or the first error, once all the others have ended."""
    if len(calls) == 1:  # the most frequent; a task would be made for nothing
        return [await calls[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
