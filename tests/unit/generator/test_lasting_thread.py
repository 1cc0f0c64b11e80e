"""The thread that an engine's processes are tied to."""

import asyncio
import threading

import pytest

from groundmesh_generator.backends.lasting_thread import run_in_lasting_thread
from tests.waiting import until


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


async def test_it_gives_the_result_and_stays() -> None:
    assert await run_in_lasting_thread(lambda: 42, name="stays") == 42
    (thread,) = threads("stays")
    assert thread.daemon


async def test_it_gives_the_error_and_goes() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run_in_lasting_thread(fail, name="goes")
    await until(lambda: not threads("goes"))


async def test_the_loop_goes_on_meanwhile_and_a_caller_may_leave() -> None:
    release = threading.Event()
    waiting = asyncio.create_task(run_in_lasting_thread(release.wait, name="left"))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    release.set()
    await asyncio.sleep(0.02)


def test_it_survives_the_end_of_the_loop() -> None:
    release = threading.Event()

    async def leave() -> None:
        asyncio.get_running_loop().call_later(0.02, asyncio.current_task().cancel)  # type: ignore[union-attr]
        await run_in_lasting_thread(release.wait, name="outlives")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(leave())
    release.set()
    assert threads("outlives")
