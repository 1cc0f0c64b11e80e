"""Work that comes out in the order in which it went in."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.cli.in_order import in_order


@settings(max_examples=30)
@given(st.lists(st.integers(1, 5), max_size=40), st.integers(1, 6))
def test_order_is_kept_and_concurrency_is_bounded(turns: Sequence[int], concurrency: int) -> None:
    running, most = 0, 0

    async def work(item: tuple[int, int]) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(item[1]):
            await asyncio.sleep(0)
        running -= 1
        return item[0]

    async def all_of_it() -> list[int]:
        return [each async for each in in_order(enumerate(turns), work, concurrency=concurrency)]

    assert asyncio.run(all_of_it()) == list(range(len(turns)))
    assert most == min(concurrency, len(turns))


async def test_one_that_takes_long_does_not_let_the_others_run_far_ahead() -> None:
    gate, begun = asyncio.Event(), 0

    async def work(item: int) -> int:
        nonlocal begun
        begun += 1
        if item == 0:
            await gate.wait()
        return item

    async with aclosing(in_order(range(1000), work, concurrency=2)) as results:
        first = asyncio.create_task(anext(results))
        for _ in range(100):
            await asyncio.sleep(0)
        assert begun <= 16
        gate.set()
        assert await first == 0


async def test_a_failure_comes_in_its_turn_and_ends_the_rest() -> None:
    ended: list[int] = []

    async def work(item: int) -> int:
        if item == 1:
            raise ValueError("no")
        try:
            await asyncio.sleep(0 if item == 0 else 60)
        finally:
            ended.append(item)
        return item

    results = in_order(range(4), work, concurrency=4)
    assert await anext(results) == 0
    with pytest.raises(ValueError, match="no"):
        await anext(results)
    assert sorted(ended) == [0, 2, 3]
