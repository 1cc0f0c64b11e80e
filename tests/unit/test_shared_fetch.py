"""One fetch for many: they get its result or its error together, and none can end it alone."""

import asyncio
import gc
from typing import Any

import pytest

from groundmesh.deadline import remaining, within
from groundmesh.errors import DeadlineExceeded, MeshError, Reason, Unavailable
from groundmesh.identity import Principal, acting_as, current_principal
from groundmesh.shared_fetch import SharedFetch
from tests.waiting import until

ALICE = Principal("acme", "alice", frozenset())


class Source:
    """Fetches when it is let; remembers how each fetch went."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.error: MeshError | None = None
        self.began = 0
        self.cancelled = 0
        self.time_left: float | None = None
        self.principal: Principal | None = None

    async def fetch(self, key: str) -> str:
        self.began += 1
        self.time_left = remaining()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return f"{key} {self.began}"


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def shared(source: Source) -> SharedFetch[str, str]:
    return SharedFetch(source.fetch, limit_s=20)


def begin(shared: SharedFetch[str, str], count: int, key: str = "m") -> list[asyncio.Task[str]]:
    return [asyncio.create_task(shared.get(key)) for _ in range(count)]


async def test_all_who_wait_get_the_one_result(
    source: Source, shared: SharedFetch[str, str]
) -> None:
    tasks = begin(shared, 20)
    await until(lambda: source.began)
    source.open.set()
    assert await asyncio.gather(*tasks) == ["m 1"] * 20


async def test_all_who_wait_get_the_one_error_at_once(
    source: Source, shared: SharedFetch[str, str]
) -> None:
    tasks = begin(shared, 20)
    await until(lambda: source.began)
    source.error = Unavailable("away")
    source.open.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert (set(errors), source.began) == ({source.error}, 1)


async def test_who_comes_after_an_error_fetches_anew(
    source: Source, shared: SharedFetch[str, str]
) -> None:
    source.open.set()
    source.error = Unavailable("away")
    with pytest.raises(Unavailable):
        await shared.get("m")
    source.error = None
    assert await shared.get("m") == "m 2"


async def test_keys_do_not_wait_for_one_another(
    source: Source, shared: SharedFetch[str, str]
) -> None:
    tasks = begin(shared, 1, "a") + begin(shared, 1, "b")
    await until(lambda: source.began == 2)
    source.open.set()
    assert {text.split()[0] for text in await asyncio.gather(*tasks)} == {"a", "b"}


async def test_who_leaves_leaves_the_others_alone(
    source: Source, shared: SharedFetch[str, str]
) -> None:
    first, *others = begin(shared, 3)
    await until(lambda: source.began)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.open.set()
    assert await asyncio.gather(*others) == ["m 1"] * 2


async def test_a_fetch_that_nobody_waits_for_is_cancelled(
    source: Source, shared: SharedFetch[str, str]
) -> None:
    tasks = begin(shared, 3)
    await until(lambda: source.began)
    for task in tasks:
        task.cancel()
    await until(lambda: source.cancelled == 1)
    source.open.set()
    assert await shared.get("m") == "m 2"  # and is not joined while it ends


async def test_the_first_caller_gives_its_name_and_not_its_deadline(source: Source) -> None:
    async def fetch(key: str) -> str:
        source.principal = current_principal()
        return await source.fetch(key)

    source.open.set()
    with within(0.2), acting_as(ALICE):
        await SharedFetch(fetch, limit_s=20).get("m")
        left = remaining()
    assert left is not None
    assert left <= 0.2
    assert source.principal == ALICE
    assert source.time_left is not None
    assert 10 < source.time_left <= 20


async def test_a_fetch_ends_by_its_own_bound(source: Source) -> None:
    with pytest.raises(DeadlineExceeded):
        await SharedFetch(source.fetch, limit_s=0.05).get("m")
    assert source.cancelled == 1


async def test_closing_ends_what_runs_and_tells_who_waits(
    source: Source, shared: SharedFetch[str, str]
) -> None:
    (task,) = begin(shared, 1)
    await until(lambda: source.began)
    await shared.close()
    assert source.cancelled == 1
    with pytest.raises(Unavailable) as told:
        await task
    assert told.value.reason is Reason.DRAINING


async def test_an_error_that_nobody_is_left_to_hear_is_no_noise(
    source: Source, shared: SharedFetch[str, str]
) -> None:
    noise: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    (task,) = begin(shared, 1)
    await until(lambda: source.began)
    source.error = Unavailable("away")
    source.open.set()
    await asyncio.sleep(0)  # the fetch has failed, its caller does not know yet
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    gc.collect()
    assert noise == []
