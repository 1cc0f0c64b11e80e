"""When Milvus Lite is told to flush, and that searches and flushes keep apart."""

import asyncio
from dataclasses import dataclass, field

import pytest

from groundmesh.errors import Unavailable
from groundmesh_retriever.stores import milvus_settling
from groundmesh_retriever.stores.milvus_settling import Settling
from tests.waiting import until

INDEX = "gm_x"


@dataclass
class Flushes:
    """A store's flush, which may be held or fail."""

    count: int = 0
    running: bool = False
    fails: bool = False
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, index: str) -> None:
        assert index == INDEX
        self.running = True
        await self.may_end.wait()
        self.running = False
        self.count += 1
        if self.fails:
            raise Unavailable("away")


@pytest.fixture
def flushes() -> Flushes:
    made = Flushes()
    made.may_end.set()
    return made


@pytest.fixture
def settling(flushes: Flushes) -> Settling:
    return Settling(flushes)


async def search(settling: Settling) -> None:
    async with settling.reading(INDEX):
        await asyncio.sleep(0)


async def test_the_first_searches_flush_once_for_all(settling: Settling, flushes: Flushes) -> None:
    await asyncio.gather(*(search(settling) for _ in range(20)))
    await search(settling)
    assert flushes.count == 1


async def test_writes_that_go_on_are_not_flushed_until_they_are_many(
    settling: Settling, flushes: Flushes
) -> None:
    await search(settling)
    settling.wrote(INDEX, 999)
    await search(settling)
    assert flushes.count == 1
    settling.wrote(INDEX, 1)
    await search(settling)
    await search(settling)
    assert flushes.count == 2


async def test_writes_that_paused_are_flushed_if_they_are_more_than_a_few(
    settling: Settling, flushes: Flushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_settling, "_PAUSE_S", 0.0)
    await search(settling)
    settling.wrote(INDEX, 63)
    await search(settling)
    assert flushes.count == 1
    settling.wrote(INDEX, 1)
    await search(settling)
    assert flushes.count == 2


async def test_a_flush_waits_for_searches_and_searches_for_a_flush(
    settling: Settling, flushes: Flushes
) -> None:
    await search(settling)
    flushes.may_end.clear()
    async with settling.reading(INDEX):
        settling.wrote(INDEX, 1_000)
        later = [asyncio.create_task(search(settling)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not flushes.running
    await until(lambda: flushes.running)
    assert not any(task.done() for task in later)
    flushes.may_end.set()
    await asyncio.gather(*later)
    assert flushes.count == 2


async def test_a_search_that_is_given_up_leaves_the_flush_to_the_next(
    settling: Settling, flushes: Flushes
) -> None:
    flushes.may_end.clear()
    given_up = asyncio.create_task(search(settling))
    await until(lambda: flushes.running)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    flushes.may_end.set()
    await search(settling)
    assert flushes.count == 1


async def test_a_flush_that_fails_costs_no_search(settling: Settling, flushes: Flushes) -> None:
    flushes.fails = True
    await search(settling)
    await search(settling)
    assert flushes.count == 1, "and is not tried again at once"
