"""The first response of a call is written whole, whatever happens to who writes it."""

import asyncio
from typing import Any

import grpc.aio
import pytest

from groundmesh.server.call import CallerGone
from groundmesh.server.writing import ResponseWriter
from tests.waiting import until


class SlowContext:
    """Writes when the client reads."""

    def __init__(self) -> None:
        self.began = 0
        self.written = 0
        self.client_reads = asyncio.Event()
        self.error: Exception | None = None

    async def write(self, response: Any) -> None:
        self.began += 1
        await self.client_reads.wait()
        if self.error is not None:
            raise self.error
        self.written += 1


@pytest.fixture
def context() -> Any:
    return SlowContext()


async def test_a_first_write_under_way_is_finished_before_its_task_ends(context: Any) -> None:
    writing = asyncio.create_task(ResponseWriter(context).write("x"))
    await until(lambda: context.began)
    writing.cancel()
    done, _ = await asyncio.wait({writing}, timeout=0.05)
    assert not done
    context.client_reads.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert context.written == 1


async def test_a_client_that_reads_nothing_is_waited_for_a_while_only(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundmesh.server.writing._LAST_WRITE_S", 0.05)
    writing = asyncio.create_task(ResponseWriter(context).write("x"))
    await until(lambda: context.began)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(writing, 2)
    assert context.written == 0


async def test_a_later_write_ends_with_its_task(context: Any) -> None:
    writer = ResponseWriter(context)
    context.client_reads.set()
    await writer.write("x")
    context.client_reads.clear()
    writing = asyncio.create_task(writer.write("y"))
    await until(lambda: context.began == 2)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    context.client_reads.set()
    assert context.written == 1


async def test_one_is_written_at_a_time(context: Any) -> None:
    writer = ResponseWriter(context)
    tasks = [asyncio.create_task(writer.write(text)) for text in "xyz"]
    await until(lambda: context.began)
    await asyncio.sleep(0)
    assert context.began == 1
    context.client_reads.set()
    await asyncio.gather(*tasks)
    assert context.written == 3


@pytest.mark.parametrize("later", [False, True])
async def test_a_write_to_nobody_says_that_the_caller_has_gone(context: Any, later: bool) -> None:
    writer = ResponseWriter(context)
    context.client_reads.set()
    if later:
        await writer.write("x")
    context.error = grpc.aio.UsageError("RPC already finished.")
    with pytest.raises(CallerGone):
        await writer.write("y")
