"""Calls at once: all results in order, or one error and nothing left running."""

import asyncio

import pytest

from groundmesh_retriever.together import together


async def said(what: str, *, after_s: float) -> str:
    await asyncio.sleep(after_s)
    return what


async def test_results_come_in_the_order_of_the_calls() -> None:
    assert await together([said("a", after_s=0.02), said("b", after_s=0)]) == ["a", "b"]
    assert await together([said("a", after_s=0)]) == ["a"]
    assert await together([]) == []


async def test_one_that_fails_ends_the_others() -> None:
    ended = asyncio.Event()

    async def long() -> str:
        try:
            return await said("late", after_s=60)
        finally:
            ended.set()

    async def failing() -> str:
        await asyncio.sleep(0)
        raise LookupError("this one")

    with pytest.raises(LookupError, match="this one"):
        await together([long(), failing()])
    assert ended.is_set()
