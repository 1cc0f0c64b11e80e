"""Rows of many writers in few requests."""

import asyncio
from itertools import pairwise

import pytest

from groundmesh_retriever.stores.joined_writes import JoinedWrites, Row


class Store:
    """Remembers requests; each waits until it is let through."""

    def __init__(self) -> None:
        self.requests: list[list[int]] = []
        self.open = asyncio.Event()
        self.failing: set[int] = set()
        """Requests that fail, by their number."""
        self.running = 0

    async def send(self, rows: list[Row]) -> None:
        assert not self.running
        self.running += 1
        self.requests.append([row["n"] for row in rows])
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        if len(self.requests) - 1 in self.failing:
            raise OSError("away")


def rows(*numbers: int) -> list[Row]:
    return [{"n": number} for number in numbers]


async def started(
    writes: JoinedWrites, store: Store, *parts: list[Row]
) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(writes.write(part, store.send)) for part in parts]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_during_a_request_goes_out_together() -> None:
    store, writes = Store(), JoinedWrites(most_rows=10)
    tasks = await started(writes, store, *(rows(number) for number in range(6)))
    assert store.requests == [[0]]  # nothing waited for more
    store.open.set()
    await asyncio.gather(*tasks)
    assert store.requests == [[0], [1, 2, 3, 4, 5]]


async def test_requests_are_bounded_and_in_order() -> None:
    store, writes = Store(), JoinedWrites(most_rows=3)
    tasks = await started(writes, store, rows(0), rows(1, 2), rows(3, 4), rows(5), rows(6, 7, 8, 9))
    store.open.set()
    await asyncio.gather(*tasks)
    assert store.requests == [[0], [1, 2], [3, 4, 5], [6, 7, 8, 9]]
    sent = [number for request in store.requests for number in request]
    assert all(one < other for one, other in pairwise(sent))


async def test_an_error_is_each_writers_of_that_request_and_nobody_elses() -> None:
    store, writes = Store(), JoinedWrites(most_rows=2)
    tasks = await started(writes, store, rows(0), rows(1), rows(2), rows(3))
    store.failing = {1}
    store.open.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert store.requests == [[0], [1, 2], [3]]
    assert [type(each) for each in done] == [type(None), OSError, OSError, type(None)]


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_a_writer_that_goes_takes_only_its_own_rows_along(gone: int) -> None:
    store, writes = Store(), JoinedWrites(most_rows=10)
    [first] = await started(writes, store, rows(9))
    tasks = await started(writes, store, rows(0), rows(1), rows(2))
    store.open.set()
    await first
    store.open.clear()
    for _ in range(3):
        await asyncio.sleep(0)
    assert store.requests[1:] == [[0, 1, 2]]
    tasks[gone].cancel()
    await asyncio.wait([tasks[gone]])
    store.open.set()
    await asyncio.gather(*(task for task in tasks if task is not tasks[gone]))
    sent = [number for request in store.requests[1:] for number in request]
    assert {0, 1, 2} - {gone} <= set(sent)
    assert sent.count(gone) == 1  # not again once nobody wants it
    assert not writes.lock.locked()
