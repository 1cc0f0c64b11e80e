"""A real generator as a process, and what its tests ask of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from groundmesh.channel import open_channel, translated
from groundmesh.v1.generator_pb2 import GenerateRequest, GenerateResponse, Prompt, Sampling
from groundmesh.v1.generator_pb2_grpc import GeneratorServiceStub
from groundmesh.v1.mesh_pb2 import GetServerInfoRequest, ServerInfo
from groundmesh.v1.mesh_pb2_grpc import MeshServiceStub
from tests.generation_models import smollm2
from tests.service_process import ServiceProcess, service_process

if TYPE_CHECKING:
    from groundmesh.v1.generator_pb2_grpc import GeneratorServiceAsyncStub
    from groundmesh.v1.mesh_pb2_grpc import MeshServiceAsyncStub

START_LIMIT_S = 240
"""Mostly three imports of vLLM, which other tests may slow down."""
ORPHAN_LIMIT_S = 5
"""After the end of a generator, none of its processes is left."""
ENDLESS = Prompt(text="1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,")


@dataclass(frozen=True)
class Client:
    """A generator process and the stubs to call it."""

    service: ServiceProcess
    generator: "GeneratorServiceAsyncStub"
    mesh: "MeshServiceAsyncStub"

    async def info(self) -> ServerInfo:
        return (await self.mesh.GetServerInfo(GetServerInfoRequest(), timeout=10)).server

    async def engine_load(self) -> float:
        """What the engine itself counts, running and waiting."""
        load = (await self.info()).load
        return load["running_requests"] + load["waiting_requests"]

    async def idle_after_s(self, *, limit_s: float) -> float:
        """How long it takes until the engine counts nothing."""
        since = time.monotonic()
        while await self.engine_load():
            assert time.monotonic() - since < limit_s, "the engine still works"
            await asyncio.sleep(0.005)
        return time.monotonic() - since

    async def busy(self, count: int = 1) -> None:
        """Return once the engine counts this many."""
        for _ in range(1000):
            if await self.engine_load() >= count:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the engine never took the work")

    async def answer(
        self, request: GenerateRequest, *, timeout: float = 60
    ) -> tuple[str, GenerateResponse]:
        """All the text, and the last message."""
        with translated("generator"):
            events = [event async for event in self.generator.Generate(request, timeout=timeout)]
        return "".join(event.delta.text for event in events), events[-1]


@asynccontextmanager
async def generator_process(folder: Path, *flags: str) -> AsyncIterator[ServiceProcess]:
    """A generator that has just been started, with the default model."""
    flags = ("--model", await asyncio.to_thread(smollm2), *flags)
    async with service_process("groundmesh_generator", *flags, folder=folder) as service:
        yield service


@asynccontextmanager
async def generator_client(folder: Path, *flags: str) -> AsyncIterator[Client]:
    """A client of a generator that is ready."""
    async with (
        generator_process(folder, *flags) as service,
        open_channel(await service.ready(within_s=START_LIMIT_S)) as channel,
    ):
        yield Client(service, GeneratorServiceStub(channel), MeshServiceStub(channel))


def endless() -> GenerateRequest:
    """A request that keeps the engine busy for half a minute."""
    return GenerateRequest(prompt=ENDLESS, sampling=Sampling(temperature=0, max_tokens=1000))


def children_of(service: ServiceProcess) -> list[psutil.Process]:
    """All processes below it."""
    return psutil.Process(service.process.pid).children(recursive=True)


def command_of(process: psutil.Process) -> str:
    """Its command line; empty once it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


async def assert_gone(processes: Sequence[psutil.Process]) -> None:
    """Fail when one of them is still there after the limit."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, ORPHAN_LIMIT_S)
    assert not alive
