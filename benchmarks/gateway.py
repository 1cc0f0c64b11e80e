"""What the gateway costs: answers through it, and of the same generator directly, in turns.

The generator replays words at a fixed pace; embedder and retriever are fakes, and the stages in
which they work are taken off. Gateway, generator, fakes and clients are processes of their own on
real sockets. Each client asks again as soon as it has its answer.
"""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.gateway_callers import TOKENS, Load, Samples, Way, ask, run
from benchmarks.gateway_leaves import FIRST_TOKEN_S
from groundmesh.channel import open_channel
from tests.service_process import service_process

CLIENTS = (1, 8, 32)
PROCESSES = 4
ROUNDS = 4
SECONDS = 4.0
"""Of each round and way; one client alone takes twice as long."""
TOKEN_MS = 50.0
"""The pace: with 32 clients 640 tokens a second in all, more than the default model writes here."""
P50_GOAL_S = 0.005
P95_GOAL_S = 0.015
BETWEEN_GOAL = 1.1
_START_LIMIT_S = 60


@dataclass(frozen=True)
class Mesh:
    """Where the two ways begin."""

    gateway: str
    generator: str
    token_s: float

    @property
    def answer_s(self) -> float:
        """What an answer takes by itself."""
        return FIRST_TOKEN_S + TOKENS * self.token_s


@dataclass(frozen=True)
class Row:
    """A figure and its goal."""

    what: str
    direct: float
    gateway: float
    value: str
    goal: str
    is_met: bool

    def cells(self) -> tuple[str, ...]:
        """For people."""
        times = (f"{seconds * 1000:.2f} ms" for seconds in (self.direct, self.gateway))
        return self.what, *times, self.value, self.goal, "pass" if self.is_met else "FAIL"


def rows(clients: int, direct: Samples, gateway: Samples) -> Iterator[Row]:
    """What is held against the goals."""
    who = "1 client" if clients == 1 else f"{clients} clients"
    for share, goal_s in ((50, P50_GOAL_S), (95, P95_GOAL_S)):
        ours, theirs = (float(np.percentile(each.first, share)) for each in (gateway, direct))
        added = ours - theirs
        yield Row(
            f"{who}: first token p{share}",
            theirs,
            ours,
            f"{added * 1000:+.2f} ms",
            f"<= +{goal_s * 1000:.0f} ms",
            added <= goal_s,
        )
    ours, theirs = (float(np.percentile(each.between, 99)) for each in (gateway, direct))
    ratio = ours / theirs
    goal = f"<= {BETWEEN_GOAL} times"
    what = f"{who}: between tokens p99"
    yield Row(what, theirs, ours, f"{ratio:.3f} times", goal, ratio <= BETWEEN_GOAL)


async def measure(
    mesh: Mesh, clients: int, *, rounds: int, pool: Executor
) -> tuple[Samples, Samples]:
    """Samples of both ways, over rounds that alternate."""
    loop = asyncio.get_running_loop()
    prompt_tokens = await _prompt_tokens(mesh)
    seconds = SECONDS if clients > 1 else 2 * SECONDS
    taken: dict[Way, Samples] = {"direct": Samples(), "gateway": Samples()}
    for _ in range(rounds):
        for way, samples in taken.items():
            address = mesh.generator if way == "direct" else mesh.gateway
            loads = [
                Load(way, address, share, seconds, mesh.answer_s, prompt_tokens)
                for share in _shares(clients)
            ]
            for each in await asyncio.gather(
                *(loop.run_in_executor(pool, run, load) for load in loads)
            ):
                samples.add(each)
    return taken["direct"], taken["gateway"]


def _shares(clients: int) -> list[int]:
    processes = min(clients, PROCESSES)
    return [len(range(number, clients, processes)) for number in range(processes)]


async def _prompt_tokens(mesh: Mesh) -> int:
    load = Load("gateway", mesh.gateway, 1, 0.0, 0.0, 0)
    async with open_channel(mesh.gateway) as channel:
        return (await ask(channel, load, question="How long is it?")).prompt_tokens


@asynccontextmanager
async def running_mesh(token_s: float) -> AsyncIterator[Mesh]:
    """The gateway and what is behind it, each a process."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        async def start(name: str, module: str, *flags: str) -> str:
            own = folder / name
            own.mkdir()
            process = await stack.enter_async_context(service_process(module, *flags, folder=own))
            return await process.ready(within_s=_START_LIMIT_S)

        leaves = {
            name: await start(
                name, "benchmarks.gateway_leaves", f"--leaf={name}", f"--token-s={token_s}"
            )
            for name in ("generator", "embedder", "retriever")
        }
        flags = [f"--{name}={address}" for name, address in leaves.items()]
        gateway = await start("gateway", "groundmesh_gateway", "--role=ask", *flags)
        yield Mesh(gateway, leaves["generator"], token_s)


async def main(arguments: Sequence[str]) -> None:
    """Print every figure beside its goal; exit code 1 when one is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--token-ms", type=float, default=TOKEN_MS, help="the generator's pace")
    asked = parser.parse_args(arguments)
    table = Table("what", "direct", "gateway", "price", "goal", "")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.gateway_callers"])
    met = True
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        async with running_mesh(asked.token_ms / 1000) as mesh:
            for clients in asked.clients:
                taken = await measure(mesh, clients, rounds=asked.rounds, pool=pool)
                for row in rows(clients, *taken):
                    table.add_row(*row.cells())
                    met = met and row.is_met
    console = Console()
    console.print(f"{TOKENS} tokens an answer, one in {asked.token_ms:g} ms")
    console.print(table)
    if not met:
        sys.exit(1)
