"""A stream answered out of order, a bounded number at a time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from groundmesh_embedder.streaming import answered_as_done
from tests.waiting import until


class Source:
    """Counts what is read from it."""

    def __init__(self, count: int, *, error: Exception | None = None) -> None:
        self.read = 0
        self._count = count
        self._error = error

    async def __aiter__(self) -> AsyncIterator[int]:
        for number in range(self._count):
            self.read += 1
            yield number
        if self._error:
            raise self._error


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def test_answers_every_request() -> None:
    answers = [answer async for answer in answered_as_done(Source(50), double, in_flight=4)]
    assert sorted(answers) == list(range(0, 100, 2))


async def test_answers_as_they_are_done() -> None:
    async def backwards(number: int) -> int:
        await asyncio.sleep((5 - number) * 0.02)
        return number

    answers = [answer async for answer in answered_as_done(Source(5), backwards, in_flight=5)]
    assert answers == [4, 3, 2, 1, 0]


async def test_reads_no_further_than_it_works_and_the_taker_takes() -> None:
    source = Source(1000)
    answers = answered_as_done(source, double, in_flight=4)
    assert await anext(answers) in range(10)
    await asyncio.sleep(0.05)
    assert source.read <= 4 + 1  # the one in hand waits for room
    await anext(answers)
    await asyncio.sleep(0.05)
    assert source.read <= 5 + 1
    await answers.aclose()


async def test_leaving_stops_the_work() -> None:
    stopped = []

    async def for_ever(number: int) -> int:
        if number == 0:
            return 0
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append(number)
        return number

    answers = answered_as_done(Source(3), for_ever, in_flight=3)
    assert await anext(answers) == 0
    await answers.aclose()
    assert sorted(stopped) == [1, 2]


async def test_a_broken_source_ends_it() -> None:
    source = Source(2, error=ValueError("broken"))
    with pytest.raises(ExceptionGroup) as ended:
        async for _ in answered_as_done(source, double, in_flight=1):
            pass
    assert ended.group_contains(ValueError, match="broken")


async def test_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    answers = answered_as_done(Source(10), double, in_flight=2)
    await anext(answers)
    await answers.aclose()
    await until(lambda: asyncio.all_tasks() == before, within_s=1)
