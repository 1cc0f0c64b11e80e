"""What the generator refuses, and who goes first, over the wire with a fake engine."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from groundmesh.channel import open_channel, translated
from groundmesh.errors import Reason, ResourceExhausted
from groundmesh.testing import running
from groundmesh.v1.common_pb2 import PRIORITY_BULK, PRIORITY_INTERACTIVE
from groundmesh.v1.generator_pb2 import GenerateRequest, GenerateResponse, Prompt, Sampling
from groundmesh.v1.generator_pb2_grpc import GeneratorServiceStub
from groundmesh.v1.mesh_pb2 import GetServerInfoRequest
from groundmesh.v1.mesh_pb2_grpc import MeshServiceStub
from groundmesh_generator.admission import AdmissionLimits
from groundmesh_generator.core import Generator, GeneratorOptions
from groundmesh_generator.servicer import generator_service
from tests.fakes.paced_generator import PacedBackend
from tests.waiting import until

if TYPE_CHECKING:
    from groundmesh.v1.generator_pb2_grpc import GeneratorServiceAsyncStub

LIMITS = AdmissionLimits(
    max_waiting_tokens=1000, max_wait_s=60, max_running_bulk=2, max_waiting_bulk=3
)


@dataclass
class Bench:
    backend: PacedBackend
    stub: "GeneratorServiceAsyncStub"
    mesh: Any

    def ask(self, tokens: int, priority: Any = PRIORITY_INTERACTIVE, **options: Any) -> Any:
        request = GenerateRequest(
            prompt=Prompt(text="word " * tokens), sampling=Sampling(max_tokens=2), priority=priority
        )
        return self.stub.Generate(request, **options)

    async def load(self, name: str) -> float:
        info = await self.mesh.GetServerInfo(GetServerInfoRequest())
        return float(info.server.load[name])


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    backend = PacedBackend()
    service = generator_service(Generator(backend, GeneratorOptions(limits=LIMITS)))
    async with running(service) as server, open_channel(server.address) as channel:
        yield Bench(backend, GeneratorServiceStub(channel), MeshServiceStub(channel))


async def events_of(call: Any) -> list[GenerateResponse]:
    with translated("generator"):
        return [event async for event in call]


async def test_past_the_bound_a_call_is_refused_at_once_and_told_when_to_come_back(
    bench: Bench,
) -> None:
    bench.backend.first_token_s = 30
    waiting = bench.ask(900)
    await waiting.read()
    with pytest.raises(ResourceExhausted) as refused:
        await asyncio.wait_for(events_of(bench.ask(200)), 5)
    assert refused.value.reason is Reason.OVERLOADED
    assert refused.value.retry_after_s
    assert await bench.load("waiting_prompt_tokens") == 900
    waiting.cancel()
    await until(lambda: bench.backend.load.running == 0, within_s=5)
    assert await bench.load("waiting_prompt_tokens") == 0


async def test_a_deadline_that_cannot_be_met_is_refused_at_once(bench: Bench) -> None:
    bench.backend.first_token_s = 1.0
    await events_of(bench.ask(100))
    with pytest.raises(ResourceExhausted) as refused:
        await events_of(bench.ask(900, timeout=2))
    assert "deadline" in refused.value.message
    assert refused.value.retry_after_s
    assert len(bench.backend.jobs) == 2, "the warm-up and the first"


async def test_interactive_passes_bulk_that_waits(bench: Bench) -> None:
    bench.backend.first_token_s = 30
    running = [bench.ask(10, PRIORITY_BULK) for _ in range(2)]
    begun = [await call.read() for call in running]
    assert [event.started.prompt_tokens for event in begun] == [10, 10]
    waiting = [bench.ask(10, PRIORITY_BULK) for _ in range(3)]
    while await bench.load("waiting_requests") < 3:  # noqa: ASYNC110 - over the wire
        await asyncio.sleep(0.01)
    with pytest.raises(ResourceExhausted):
        await events_of(bench.ask(10, PRIORITY_BULK))
    bench.backend.first_token_s = 0
    assert (await events_of(bench.ask(10)))[-1].HasField("final")
    for call in running:
        call.cancel()
    finished = await asyncio.gather(*(events_of(call) for call in waiting))
    assert all(events[-1].HasField("final") for events in finished)
