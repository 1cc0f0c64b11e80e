"""What the gateway holds in memory while documents go through it.

A real process of the gateway with its own parse workers, between the fake embedder and the fake
retriever of the tests, which remember nothing: so it is driven as fast as it can go.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from groundmesh.client import Client, DocumentIngested, IngestProgress, Outcome, Upload
from groundmesh.testing import running
from tests.fakes.embedder_service import fake_embedder
from tests.fakes.retriever_service import fake_retriever
from tests.service_process import service_process

MARKS = (5_000, 50_000)
MODEL_TOKENS = 256
SHAPES = {"abstracts": 1_500, "reports": 200_000, "one document": 0}
"""Bytes of each document; 0: one document has them all."""
_SENTENCE = "Chunks of many documents go through, and nothing of them stays behind. "
_CHUNK_BYTES = 200
"""About what fits into a chunk: to the fake's tokenizer each letter is a token."""
_SAMPLE_S = 0.1
_MIB = 1 << 20


@dataclass(frozen=True)
class Level:
    """Memory in bytes up to a number of chunks: at that moment, and the most since the last."""

    chunks: int
    rss: int
    most: int


async def measure(document_bytes: int, *, marks: Sequence[int] = MARKS) -> list[Level]:
    """The levels at each mark, of documents of a size."""
    async with _gateway() as (process, client):
        watch = _Watch(process)
        sampling = asyncio.create_task(watch.sample())
        events = client.ingest(_documents(document_bytes, marks[-1]), collection="docs")
        levels: list[Level] = []
        async for event in events:
            if isinstance(event, DocumentIngested) and event.outcome is not Outcome.INDEXED:
                raise RuntimeError(f"not ingested: {event}")
            done = _chunks_of(event, watch.chunks)
            watch.chunks = done
            while len(levels) < len(marks) and done >= marks[len(levels)]:
                levels.append(watch.level(marks[len(levels)]))
            if len(levels) == len(marks):
                break
        await events.aclose()
        sampling.cancel()
        return levels


class _Watch:
    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._most = 0
        self.chunks = 0

    async def sample(self) -> None:
        while True:
            self._most = max(self._most, self._process.memory_info().rss)
            await asyncio.sleep(_SAMPLE_S)

    def level(self, mark: int) -> Level:
        rss = self._process.memory_info().rss
        made = Level(mark, rss, max(rss, self._most))
        self._most = 0
        return made


def _chunks_of(event: DocumentIngested | IngestProgress, so_far: int) -> int:
    return max(so_far, event.chunks) if isinstance(event, IngestProgress) else so_far


@asynccontextmanager
async def _gateway() -> AsyncIterator[tuple[psutil.Process, Client]]:
    embedder = fake_embedder(remember_texts=False, max_input_tokens=MODEL_TOKENS)
    retriever = fake_retriever(remember_content=False)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        behind = {
            "embedder": (await stack.enter_async_context(running(embedder.service()))).address,
            "retriever": (await stack.enter_async_context(running(retriever.service()))).address,
        }
        flags = [f"--{name}={address}" for name, address in behind.items()]
        gateway = await stack.enter_async_context(
            service_process("groundmesh_gateway", "--role=ingest", *flags, folder=folder)
        )
        address = await gateway.ready(within_s=60)
        client = await stack.enter_async_context(Client(address))
        yield psutil.Process(gateway.process.pid), client


def _documents(document_bytes: int, chunks: int) -> Iterator[Upload]:
    """As many as are asked for, or one that is large enough."""
    if not document_bytes:
        yield _document("all.txt", chunks * _CHUNK_BYTES * 3 // 2)
        return
    for number in count():
        yield _document(f"{number}.txt", document_bytes)


def _document(uri: str, size: int) -> Upload:
    return Upload(uri, (uri + "\n" + _SENTENCE * (size // len(_SENTENCE))).encode())


async def main(arguments: Sequence[str]) -> None:
    """Print the levels of every shape."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ingest-memory", description=__doc__)
    parser.add_argument("--marks", type=int, nargs="+", default=MARKS, help="numbers of chunks")
    marks = parser.parse_args(arguments).marks
    columns = (f"at {mark:,} chunks" for mark in marks)
    table = Table("documents", *columns, "grown", "most", title="Fake embedder, fake retriever")
    for shape, document_bytes in SHAPES.items():
        levels = await measure(document_bytes, marks=marks)
        grown = max(level.most for level in levels[1:]) - levels[0].rss
        table.add_row(
            shape,
            *(f"{level.rss / _MIB:.0f} MiB" for level in levels),
            f"{grown / _MIB:.0f} MiB",
            f"{max(level.most for level in levels) / _MIB:.0f} MiB",
        )
    Console().print(table)
