"""The task that sweeps ends when it is told to, whatever else it is told in that moment."""

import asyncio
from pathlib import Path

import pytest

from tests.fakes.vector_store import FakeVectorStore
from tests.unit.retriever.core_calls import core_over


@pytest.mark.parametrize("turns", range(5))
async def test_a_stop_that_comes_with_the_waking_ends_the_sweep(tmp_path: Path, turns: int) -> None:
    async with core_over(FakeVectorStore(), tmp_path) as retriever:
        sweeping = asyncio.create_task(retriever.sweeper.run())
        await asyncio.sleep(0.2)  # so that it waits for the next waking
        retriever.sweeper.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        sweeping.cancel()
        await asyncio.wait([sweeping], timeout=2)
        assert sweeping.cancelled()
