"""Our generator against ``vllm serve``: the same vLLM, model, settings, cores and requests.

Both stay loaded, and one is paused while the other is measured, in turns; who comes first changes.
A ratio is that of the two measurements of one round. ``--rounds N`` sets how many (6).
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import median_with_interval
from benchmarks.contenders import (
    ENV,
    grpc_ready,
    http_ready,
    our_command,
    our_flags,
    their_command,
    wait_ready,
)
from benchmarks.generation_clients import Answers, Load
from benchmarks.pausing import PausableServer, pausable_server
from groundmesh.models import DEFAULT_GENERATION_MODEL, resolve_model
from groundmesh.models.prepared import prepare_model
from tests.milvus_servers import free_port

ROUNDS = 6
TOKENS = 32
LOADS = {1: 3, 8: 16, 32: 32}
"""Clients -> requests of a measurement."""


@dataclass(frozen=True)
class Contender:
    """A generator that is loaded."""

    kind: str
    address: str
    model: str
    server: PausableServer

    async def measure(self, clients: int, *, seed: int) -> Answers:
        """Run it alone, before clients in a process of their own."""
        load = Load(
            self.kind,
            self.address,
            self.model,
            clients=clients,
            requests=LOADS[clients],
            tokens=TOKENS,
            seed=1000 * clients + seed,
        )
        self.server.resume()
        try:
            return await _clients(load)
        finally:
            self.server.require_alive()
            self.server.pause()


@dataclass(frozen=True)
class Round:
    """Both measured once, one after the other."""

    ours: Answers
    theirs: Answers

    @property
    def throughput(self) -> float:
        """Tokens a second: ours over theirs."""
        ours, theirs = (each.tokens / each.seconds for each in (self.ours, self.theirs))
        return ours / theirs

    @property
    def first_token(self) -> float:
        """Median time to the first token: ours over theirs."""
        return median(self.ours.first_s) / median(self.theirs.first_s)


async def main(arguments: Sequence[str]) -> None:
    """Print a row for each number of clients."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks generator")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args(arguments).rounds
    prepare_model(DEFAULT_GENERATION_MODEL)
    async with _contenders() as (ours, theirs):
        for clients in LOADS:  # warms up
            await _round(clients, first=ours, second=theirs, seed=0)
        measured: dict[int, list[Round]] = {clients: [] for clients in LOADS}
        for number in range(1, rounds + 1):
            for clients, done in measured.items():
                done.append(await _in_turn(ours, theirs, clients, number))
                _note(number, clients, done[-1])
    _print(measured)


async def _in_turn(ours: Contender, theirs: Contender, clients: int, number: int) -> Round:
    if number % 2:
        return Round(*await _round(clients, first=ours, second=theirs, seed=number))
    their_answers, our_answers = await _round(clients, first=theirs, second=ours, seed=number)
    return Round(our_answers, their_answers)


async def _round(
    clients: int, *, first: Contender, second: Contender, seed: int
) -> tuple[Answers, Answers]:
    return await first.measure(clients, seed=seed), await second.measure(clients, seed=seed)


async def _clients(load: Load) -> Answers:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.generation_clients", json.dumps(asdict(load))),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    return Answers(**json.loads(printed))


@asynccontextmanager
async def _contenders() -> AsyncIterator[tuple[Contender, Contender]]:
    """Ours and theirs, loaded one after the other, paused."""
    env = {**os.environ, **ENV}
    path = resolve_model(DEFAULT_GENERATION_MODEL).path
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        async def load(
            kind: str, command: Sequence[str], is_ready: Callable[[str], Awaitable[bool]]
        ) -> Contender:
            address = f"127.0.0.1:{free_port()}"
            port = address.rpartition(":")[2]
            server = await stack.enter_async_context(
                pausable_server((*command, "--port", port), env=env, log=folder / kind)
            )
            await wait_ready(server, is_ready, address)
            server.pause()
            return Contender(kind, address, path, server)

        # Two that load at once would measure each other's load while they warm up.
        yield (
            await load("grpc", (*our_command(), *our_flags()), grpc_ready),
            await load("http", their_command(path), http_ready),
        )


def _note(number: int, clients: int, done: Round) -> None:
    said = f"throughput {done.throughput:.2f}, first token {done.first_token:.2f}"
    Console(stderr=True).print(f"round {number}, {clients} clients: {said}", style="dim")


def _print(measured: dict[int, list[Round]]) -> None:
    table = Table("clients", "tokens/s", "ratio", "first token p50", "ratio", "from cache")
    for clients, rounds in measured.items():
        ours, theirs = [each.ours for each in rounds], [each.theirs for each in rounds]
        table.add_row(
            str(clients),
            f"{_tokens_per_s(ours):.1f} against {_tokens_per_s(theirs):.1f}",
            median_with_interval([each.throughput for each in rounds]),
            f"{_first_ms(ours):.0f} ms against {_first_ms(theirs):.0f} ms",
            median_with_interval([each.first_token for each in rounds]),
            f"{sum(a.cached_tokens for a in ours) / sum(a.prompt_tokens for a in ours):.2f}",
        )
    Console(width=120).print(table)


def _tokens_per_s(answers: Sequence[Answers]) -> float:
    return median(each.tokens / each.seconds for each in answers)


def _first_ms(answers: Sequence[Answers]) -> float:
    return 1000 * median(median(each.first_s) for each in answers)
