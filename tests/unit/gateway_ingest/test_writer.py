"""An event is written whole, whatever happens to who wrote it."""

import asyncio
from typing import Any

import pytest

from groundmesh_gateway.ingestion.model import Progress
from groundmesh_gateway.servicer_ingest import _Writer

PROGRESS = Progress(0, 0, 0, 0, 0.0)


class SlowContext:
    def __init__(self) -> None:
        self.written = 0
        self.client_reads = asyncio.Event()

    async def write(self, response: Any) -> None:
        await self.client_reads.wait()
        self.written += 1


async def test_a_write_under_way_is_finished_before_its_task_ends() -> None:
    context: Any = SlowContext()
    emitting = asyncio.create_task(_Writer(context).emit(PROGRESS))
    await asyncio.sleep(0.01)
    emitting.cancel()
    await asyncio.sleep(0.01)
    assert not emitting.done()
    context.client_reads.set()
    with pytest.raises(asyncio.CancelledError):
        await emitting
    assert context.written == 1


async def test_a_client_that_reads_nothing_is_waited_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("groundmesh_gateway.servicer_ingest._LAST_WRITE_S", 0.05)
    context: Any = SlowContext()
    emitting = asyncio.create_task(_Writer(context).emit(PROGRESS))
    await asyncio.sleep(0.01)
    emitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(emitting, 2)
    assert context.written == 0
