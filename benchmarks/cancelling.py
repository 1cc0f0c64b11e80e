"""How long an engine still counts a request whose caller has left, by how far the request was.

The generator is a process with the default model. A prompt is new in every call, so that none of it
is in the prefix cache. ``--rounds N`` says how often each case is measured (10).
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.contenders import grpc_ready, our_command, wait_ready
from benchmarks.pausing import pausable_server
from groundmesh.channel import open_channel
from groundmesh.v1.generator_pb2 import GenerateRequest, Prompt, Sampling
from groundmesh.v1.generator_pb2_grpc import GeneratorServiceStub
from groundmesh.v1.mesh_pb2 import GetServerInfoRequest
from groundmesh.v1.mesh_pb2_grpc import MeshServiceStub
from tests.milvus_servers import free_port

if TYPE_CHECKING:
    from groundmesh.v1.generator_pb2_grpc import GeneratorServiceAsyncStub
    from groundmesh.v1.mesh_pb2_grpc import MeshServiceAsyncStub

ROUNDS = 10
LONG_TOKENS = 4000
BESIDE = (0, 8)
LIMIT_S = 60.0
_POLL_S = 0.002

Call = Any


@dataclass
class Bench:
    """A generator and who calls it."""

    generator: "GeneratorServiceAsyncStub"
    mesh: "MeshServiceAsyncStub"
    random: Random
    beside: int = 0

    def ask(self, *, prompt_tokens: int, max_tokens: int) -> Call:
        """A new prompt of about so many tokens."""
        # A number of one digit and its space are two tokens.
        text = " ".join(str(self.random.randrange(10)) for _ in range(prompt_tokens // 2))
        sampling = Sampling(temperature=0, max_tokens=max_tokens)
        return self.generator.Generate(GenerateRequest(prompt=Prompt(text=text), sampling=sampling))

    async def count(self) -> float:
        """What the engine counts."""
        load = (await self.mesh.GetServerInfo(GetServerInfoRequest())).server.load
        return load["running_requests"] + load["waiting_requests"]

    async def until_counts(self, is_so: Callable[[float], bool]) -> None:
        """Return once the engine's count is as it should be."""
        async with asyncio.timeout(LIMIT_S):
            while not is_so(await self.count()):  # noqa: ASYNC110 - it is in another process
                await asyncio.sleep(_POLL_S)


async def before_admission(bench: Bench) -> list[Call]:
    """The call has just been sent."""
    call = bench.ask(prompt_tokens=LONG_TOKENS, max_tokens=10)
    await asyncio.sleep(bench.random.random() * 0.005)
    return [call]


async def waiting(bench: Bench) -> list[Call]:
    """Another prompt is read first."""
    first = bench.ask(prompt_tokens=LONG_TOKENS, max_tokens=10)
    await bench.until_counts(lambda count: count > bench.beside)
    second = bench.ask(prompt_tokens=LONG_TOKENS, max_tokens=10)
    await bench.until_counts(lambda count: count > bench.beside + 1)
    return [second, first]


async def reading(bench: Bench) -> list[Call]:
    """Its prompt is being read, the begin of it or more."""
    call = bench.ask(prompt_tokens=LONG_TOKENS, max_tokens=10)
    await bench.until_counts(lambda count: count > bench.beside)
    await asyncio.sleep(bench.random.random() * 1.5)
    return [call]


async def writing(bench: Bench) -> list[Call]:
    """Some of its answer was sent."""
    call = bench.ask(prompt_tokens=40, max_tokens=500)
    for _ in range(6):
        await call.read()
    return [call]


STAGES: dict[str, Callable[[Bench], Awaitable[list[Call]]]] = {
    "before admission": before_admission,
    "waiting": waiting,
    f"reading {LONG_TOKENS} tokens": reading,
    "writing": writing,
}


async def main(arguments: Sequence[str]) -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cancelling")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args(arguments).rounds
    table = Table("left while", "beside", "p50", "longest")
    async with _bench() as bench:
        for beside in BESIDE:
            bench.beside = beside
            for name, stage in STAGES.items():
                times = [await _measure(bench, stage) for _ in range(rounds)]
                cells = (f"{1000 * each:.0f} ms" for each in (median(times), max(times)))
                table.add_row(name, f"{beside} that write", *cells)
    Console().print(table)


async def _measure(bench: Bench, stage: Callable[[Bench], Awaitable[list[Call]]]) -> float:
    """Seconds until the engine no longer counts the first of the stage's calls."""
    beside = [bench.ask(prompt_tokens=20, max_tokens=1000) for _ in range(bench.beside)]
    try:
        await asyncio.gather(*(call.read() for call in beside))
        await bench.until_counts(lambda count: count == bench.beside)
        calls = await stage(bench)
        left = bench.beside + len(calls) - 1
        began = time.perf_counter()
        calls[0].cancel()
        await bench.until_counts(lambda count: count <= left)
        took_s = time.perf_counter() - began
    finally:
        for call in (*beside, *calls):
            call.cancel()
    await bench.until_counts(lambda count: count == 0)
    return took_s


@asynccontextmanager
async def _bench() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        address = f"127.0.0.1:{port}"
        command = (*our_command(), "--port", str(port))
        log = Path(folder) / "log"
        async with pausable_server(command, env=dict(os.environ), log=log) as server:
            await wait_ready(server, grpc_ready, address)
            async with open_channel(address) as channel:
                yield Bench(GeneratorServiceStub(channel), MeshServiceStub(channel), Random(1))  # noqa: S311
