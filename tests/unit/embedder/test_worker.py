"""The thread that runs what blocks."""

import asyncio
import gc
import threading
import weakref

import pytest

from groundmesh_embedder.worker import Worker


async def test_runs_jobs_in_order_in_one_thread_of_its_own() -> None:
    worker = Worker("test")
    threads = await asyncio.gather(*(worker.run(threading.get_ident) for _ in range(5)))
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    assert await worker.stop(timeout_s=5)
    assert not worker.alive


async def test_gives_the_exception_to_its_caller_and_goes_on() -> None:
    worker = Worker("test")

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await worker.run(fail)
    assert await worker.run(lambda: 1) == 1
    await worker.stop(timeout_s=5)


async def test_does_not_run_a_job_whose_caller_has_gone() -> None:
    worker, gate, ran = Worker("test"), threading.Event(), []
    first = asyncio.create_task(worker.run(lambda: gate.wait(10)))
    second = asyncio.create_task(worker.run(lambda: ran.append(2)))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    gate.set()
    assert await first
    assert await worker.run(lambda: 3) == 3
    assert not ran
    await worker.stop(timeout_s=5)


async def test_says_for_how_long_it_has_been_busy_and_stops_in_bounded_time() -> None:
    worker, gate = Worker("test"), threading.Event()
    stuck = asyncio.create_task(worker.run(lambda: gate.wait(30)))
    await asyncio.sleep(0.05)
    assert 0.0 < worker.busy_s < 5
    assert not await worker.stop(timeout_s=0.05)
    gate.set()
    assert await stuck
    assert await worker.stop(timeout_s=5)
    assert worker.busy_s == 0.0


async def test_holds_no_result_while_idle() -> None:
    class Result:
        pass

    worker = Worker("test")
    kept = weakref.ref(await worker.run(Result))
    await asyncio.sleep(0.05)
    gc.collect()
    assert kept() is None
    await worker.stop(timeout_s=5)
