"""What every mesh test is held to."""

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture(autouse=True)
async def no_leaked_tasks() -> AsyncIterator[None]:
    """A test may leave no asyncio task behind, be it ours or grpc's."""
    before = asyncio.all_tasks()
    yield
    known = before | {asyncio.current_task()}
    left: set[asyncio.Task[object]] = set()
    for _ in range(100):
        left = {task for task in asyncio.all_tasks() - known if not task.done()}
        if not left:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"tasks left behind: {left}")
