"""Work of many callers done together."""

import asyncio
from weakref import WeakValueDictionary

import pytest

from groundmesh_retriever.joining import Joining


class Store:
    """Remembers rounds; each waits until it is let through."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.open = asyncio.Event()
        self.failing: set[int] = set()
        """Rounds that fail, by their number."""
        self.running = 0

    async def together(self, pieces: list[int]) -> list[int | Exception]:
        assert not self.running
        self.running += 1
        self.rounds.append(pieces)
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        if len(self.rounds) - 1 in self.failing:
            raise OSError("away")
        return [ValueError("odd") if piece == 13 else 10 * piece for piece in pieces]


async def started(joining: Joining[int, int], *pieces: int) -> list[asyncio.Task[int]]:
    """Each a tick after the one before."""
    tasks = []
    for piece in pieces:
        tasks.append(asyncio.create_task(joining.do(piece)))
        for _ in range(3):
            await asyncio.sleep(0)
    return tasks


async def test_what_comes_during_a_round_is_done_together_in_the_next() -> None:
    store = Store()
    tasks = await started(Joining(store.together, most=10), *range(6))
    assert store.rounds == [[0]]  # nothing waited for more
    store.open.set()
    assert await asyncio.gather(*tasks) == [0, 10, 20, 30, 40, 50]
    assert store.rounds == [[0], [1, 2, 3, 4, 5]]


async def test_rounds_are_bounded_and_in_order() -> None:
    store = Store()
    joining = Joining(store.together, most=3)
    tasks = await started(joining, 0)
    sizes = {1: 1, 2: 2, 3: 2, 4: 1, 5: 4, 6: 1}
    tasks += [asyncio.create_task(joining.do(piece, size=size)) for piece, size in sizes.items()]
    await asyncio.sleep(0)
    store.open.set()
    await asyncio.gather(*tasks)
    assert store.rounds == [[0], [1, 2], [3, 4], [5], [6]]


async def test_a_piece_that_fails_fails_alone() -> None:
    store = Store()
    tasks = await started(Joining(store.together, most=10), 0, 1, 13, 2)
    store.open.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in done] == [int, int, ValueError, int]


async def test_a_round_that_fails_fails_its_pieces_and_no_others() -> None:
    store = Store()
    tasks = await started(Joining(store.together, most=2), 0, 1, 2, 3)
    store.failing = {1}
    store.open.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert store.rounds == [[0], [1, 2], [3]]
    assert [type(each) for each in done] == [int, OSError, OSError, int]


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_a_caller_that_goes_stops_no_others_piece(gone: int) -> None:
    store = Store()
    joining = Joining(store.together, most=10)
    [first] = await started(joining, 9)
    tasks = await started(joining, 0, 1, 2)
    store.open.set()
    await first
    store.open.clear()
    for _ in range(5):
        await asyncio.sleep(0)
    assert store.rounds[1:] == [[0, 1, 2]]
    tasks[gone].cancel()
    await asyncio.wait([tasks[gone]])
    store.open.set()
    left = [task for task in tasks if task is not tasks[gone]]
    assert await asyncio.gather(*left) == [10 * n for n in range(3) if n != gone]
    assert store.rounds[1:] == [[0, 1, 2]]
    async with asyncio.timeout(5.0), joining.between_rounds():
        assert not store.running


async def test_what_has_not_begun_when_its_caller_goes_is_not_done() -> None:
    store = Store()
    tasks = await started(Joining(store.together, most=10), 0, 1, 2)
    tasks[1].cancel()
    store.open.set()
    await asyncio.wait(tasks)
    assert store.rounds == [[0], [2]]


async def test_nobody_waits_for_ever_at_the_end() -> None:
    joining = Joining((store := Store()).together, most=10)
    tasks = await started(joining, 0, 1)
    await joining.close()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert not store.running


async def test_what_runs_between_rounds_keeps_those_who_come_later_waiting() -> None:
    store = Store()
    store.open.set()
    known = WeakValueDictionary[str, Joining[int, int]]()

    def joining() -> Joining[int, int]:
        return known.setdefault("index", Joining(store.together, most=10))

    async with joining().between_rounds():
        tasks = await started(joining(), 1)
        assert not store.rounds
    assert await asyncio.gather(*tasks) == [10]
