"""Questions while something goes: a service, a connection, the time, the caller."""

import asyncio
import time
from typing import Any

import pytest

from groundmesh.channel import translated
from groundmesh.errors import (
    DeadlineExceeded,
    InvalidArgument,
    Reason,
    Unavailable,
)
from groundmesh.testing import running
from groundmesh_generator.backends.base import EngineLoad
from tests.fakes.paced_generator import PacedBackend, paced_generator
from tests.mesh.gateway_mesh import (
    NOWHERE,
    GatewayMesh,
    ask_request,
    gateway_mesh,
)
from tests.waiting import until


async def until_first_delta(call: Any) -> None:
    async for event in call:
        if event.HasField("delta"):
            return


async def rest_of(call: Any) -> None:
    with translated("gateway"):
        async for _ in call:
            pass


@pytest.mark.parametrize("away", ["embedder", "retriever", "generator"])
async def test_a_service_that_is_away_is_named_at_once(away: str) -> None:
    async with gateway_mesh(addresses={away: NOWHERE}) as mesh:
        began = time.monotonic()
        with pytest.raises(Unavailable) as failed:
            await mesh.ask()
    assert time.monotonic() - began < 5
    assert failed.value.reason is Reason.SERVICE_UNREACHABLE
    assert failed.value.message.startswith(f"the {away} at {NOWHERE} can't be reached; see that")


async def test_a_service_that_came_back_is_used_at_once() -> None:
    async with gateway_mesh() as mesh:
        await mesh.ask()
        port = await mesh.stop("generator")
        with pytest.raises(Unavailable):
            await mesh.ask()
        async with running(paced_generator(PacedBackend(repeat=False)), port=port):
            began = time.monotonic()
            while True:  # what `groundmesh ask` run again and again would see
                try:
                    await mesh.ask()
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)
            assert time.monotonic() - began < 10


async def test_a_generator_that_dies_in_the_middle() -> None:
    backend = PacedBackend(token_s=0.05)
    async with gateway_mesh(generator=backend) as mesh:
        call = mesh.stub.Ask(ask_request(), timeout=20)
        await until_first_delta(call)
        backend.die()
        with pytest.raises(Unavailable) as failed:
            await rest_of(call)
    assert failed.value.reason is Reason.ENGINE_DEAD
    assert failed.value.message == "generator: the engine died"


async def test_a_connection_that_breaks_in_the_middle() -> None:
    async with gateway_mesh(generator=PacedBackend(token_s=0.05)) as mesh:
        call = mesh.stub.Ask(ask_request(), timeout=20)
        await until_first_delta(call)
        await mesh.servers["generator"]._server.stop(None)
        with pytest.raises(Unavailable) as failed:
            await rest_of(call)
    assert failed.value.reason is Reason.SERVICE_UNREACHABLE
    assert "generator" in failed.value.message
    assert "Socket" not in failed.value.message


async def test_a_deadline_ends_the_work_everywhere() -> None:
    backend = PacedBackend(token_s=0.05)
    async with gateway_mesh(generator=backend) as mesh:
        with pytest.raises(DeadlineExceeded):
            await mesh.ask(timeout=0.5)
        await until(lambda: backend.load.running == 0)
        mesh.retriever.open.clear()
        with pytest.raises(DeadlineExceeded):
            await mesh.ask(timeout=0.3)
        mesh.retriever.open.set()


async def test_a_caller_that_leaves_frees_the_generator_at_once() -> None:
    backend = PacedBackend(token_s=0.05)
    async with gateway_mesh(generator=backend) as mesh:
        call = mesh.stub.Ask(ask_request(), timeout=20)
        await until_first_delta(call)
        assert backend.load.running == 1
        call.cancel()
        began = time.monotonic()
        await until(lambda: backend.load.running == 0)
        assert time.monotonic() - began < 3


async def test_two_hundred_at_once_with_half_cancelled_leave_nothing() -> None:
    backend = PacedBackend(token_s=0.01, repeat=False, max_running=16)
    async with gateway_mesh(
        generator=backend, max_concurrent_calls=64, max_queued_calls=256
    ) as mesh:
        await mesh.ask()  # from now on the health of every leaf is watched
        tasks_before = len(asyncio.all_tasks())
        results = await asyncio.gather(
            *(_ask_or_leave(mesh.stub, number) for number in range(200)), return_exceptions=True
        )
        assert [result for result in results if isinstance(result, BaseException)] == []
        assert results.count("answered") == 100
        await until(lambda: backend.load == EngineLoad(0, 0))
        await until(lambda: len(asyncio.all_tasks()) <= tasks_before)


async def _ask_or_leave(stub: Any, number: int) -> str:
    call = stub.Ask(ask_request(f"Question {number}?"), timeout=60)
    if number % 2:
        await asyncio.sleep(number * 0.003)
        call.cancel()
        return "left"
    events = [event async for event in call]
    assert events[-1].HasField("final")
    return "answered"


async def test_another_model_after_a_restart_is_noticed() -> None:
    async with gateway_mesh() as mesh:
        await mesh.ask()
        port = await mesh.stop("generator")
        with pytest.raises(Unavailable):
            await mesh.ask()
        small = PacedBackend(repeat=False, context_tokens=64)
        async with running(paced_generator(small), port=port):
            assert "(64)" in await _refusal_of(mesh)


async def _refusal_of(mesh: GatewayMesh) -> str:
    """Why a question is refused, as soon as the generator is reached again."""
    async with asyncio.timeout(20):
        while True:
            try:
                await mesh.ask()
            except InvalidArgument as refused:
                return refused.message
            except Unavailable:
                await asyncio.sleep(0.05)
