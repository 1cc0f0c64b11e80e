"""Answers a stream of requests out of order, a bounded number at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import TypeVar

Q = TypeVar("Q")
R = TypeVar("R")


async def answered_as_done(
    requests: AsyncIterable[Q], answer: Callable[[Q], Awaitable[R]], *, in_flight: int
) -> AsyncGenerator[R, None]:
    """The answers as they are made; at most ``in_flight`` requests are not answered and taken.

    Whoever stops taking answers stops the reading, and leaving stops the work, too. What ``answer``
    or ``requests`` raises ends it all, as an ExceptionGroup.
    """
    room = asyncio.Semaphore(in_flight)
    answers: asyncio.Queue[tuple[R] | None] = asyncio.Queue()  # bounded by the room

    async def answer_one(request: Q) -> None:
        answers.put_nowait((await answer(request),))

    async def read_all() -> None:
        async with asyncio.TaskGroup() as group:
            async for request in requests:
                await room.acquire()
                group.create_task(answer_one(request))

    reader = asyncio.create_task(read_all())
    reader.add_done_callback(lambda _: answers.put_nowait(None))
    try:
        while (taken := await answers.get()) is not None:
            yield taken[0]
            room.release()
        reader.result()
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
