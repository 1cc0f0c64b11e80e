"""What ingestion leaves of the embedder: chunks a second through the mesh, and of it alone.

Real embedder, retriever with a process of Milvus Lite, gateway. The same chunks go through
``Ingest`` and, with everything else idle, through ``EmbedStream``, in turns.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import running_mesh
from groundmesh.channel import open_channel
from groundmesh.client import Client, DocumentIngested, Outcome, Upload
from groundmesh.v1 import embedder_pb2, embedder_pb2_grpc, mesh_pb2, mesh_pb2_grpc
from groundmesh_gateway.preparing import Job, prepare
from groundmesh_gateway.splitting import HubTokenCounter, Splitting

MEMBERS = ("milvus", "embedder", "retriever", "gateway")
PER_REQUEST = 256
_MAX_TEXT_BYTES = 1 << 30
_SAMPLE_S = 0.05


@dataclass(frozen=True)
class Rate:
    """What one way of embedding all chunks did."""

    chunks_per_s: float
    at_work: float
    """Share of moments in which the embedder's model ran."""


@dataclass
class Rates:
    """Round by round."""

    chunks: int
    """Of one round."""
    mesh: list[Rate] = field(default_factory=list)
    alone: list[Rate] = field(default_factory=list)
    cpu_s: Counter[str] = field(default_factory=Counter)
    """Processor time of each process in all rounds through the mesh."""

    @property
    def ratios(self) -> list[float]:
        """Of each round."""
        pairs = zip(self.mesh, self.alone, strict=True)
        return [mesh.chunks_per_s / alone.chunks_per_s for mesh, alone in pairs]


async def measure(uploads: Sequence[Upload], *, rounds: int) -> Rates:
    """Ingest everything into a new collection each round; whoever begins takes turns."""
    async with running_mesh(*MEMBERS) as mesh:
        embedder = mesh.addresses["embedder"]
        texts = await embedded_texts(embedder, uploads)
        rates = Rates(len(texts))

        async def through_the_mesh(number: int) -> None:
            before = Counter(mesh.cpu_s())
            work = _ingest(mesh.addresses["gateway"], uploads, f"round-{number}", len(texts))
            rates.mesh.append(await _timed(embedder, work, len(texts)))
            rates.cpu_s.update(mesh.cpu_s())
            rates.cpu_s.subtract(before)

        async def alone(_number: int) -> None:
            rates.alone.append(await _timed(embedder, _embed(embedder, texts), len(texts)))

        await _embed(embedder, texts[:PER_REQUEST])  # warms up
        for number in range(rounds):
            both = (through_the_mesh, alone) if number % 2 else (alone, through_the_mesh)
            for one in both:
                await one(number)
    return rates


async def embedded_texts(embedder: str, uploads: Sequence[Upload]) -> list[str]:
    """What the gateway has embedded for these documents."""
    async with open_channel(embedder) as channel:
        stub: embedder_pb2_grpc.EmbedderServiceAsyncStub = embedder_pb2_grpc.EmbedderServiceStub(
            channel
        )
        tokenizer = await stub.GetTokenizer(embedder_pb2.EmbedderServiceGetTokenizerRequest())
    counter = HubTokenCounter(tokenizer.tokenizer_json)
    most = tokenizer.max_input_tokens
    texts: list[str] = []
    for upload in uploads:
        job = Job(
            uri=upload.uri,
            media_type=upload.media_type,
            title=upload.title,
            splitting=Splitting(most, most // 8),
            passage_prompt="",
            model_tokens=most,
            max_text_bytes=_MAX_TEXT_BYTES,
        )
        prepared = prepare(job, content_of(upload), counter)
        texts += [prepared.passage_of(chunk) for chunk in prepared.chunks()]
    return texts


async def _timed(embedder: str, work: Coroutine[Any, Any, None], chunks: int) -> Rate:
    moments: list[bool] = []
    sampling = asyncio.create_task(_sample(embedder, moments))
    began = time.perf_counter()
    try:
        await work
    finally:
        sampling.cancel()
    seconds = time.perf_counter() - began
    return Rate(chunks / seconds, sum(moments) / max(len(moments), 1))


async def _sample(embedder: str, moments: list[bool]) -> None:
    async with open_channel(embedder) as channel:
        stub: mesh_pb2_grpc.MeshServiceAsyncStub = mesh_pb2_grpc.MeshServiceStub(channel)
        while True:
            info = await stub.GetServerInfo(mesh_pb2.GetServerInfoRequest())
            moments.append(info.server.load["running_tokens"] > 0)
            await asyncio.sleep(_SAMPLE_S)


async def _ingest(gateway: str, uploads: Sequence[Upload], collection: str, expected: int) -> None:
    chunks = 0
    async with Client(gateway) as client:
        async for event in client.ingest(uploads, collection=collection):
            if isinstance(event, DocumentIngested):
                check(event.outcome is Outcome.INDEXED, event)
                chunks += event.chunk_count
    check(chunks == expected, (chunks, expected))


async def _embed(embedder: str, texts: Sequence[str]) -> None:
    async def sent() -> AsyncIterator[embedder_pb2.EmbedStreamRequest]:
        for start in range(0, len(texts), PER_REQUEST):
            request = embedder_pb2.EmbedRequest(
                texts=texts[start : start + PER_REQUEST],
                kind=embedder_pb2.INPUT_KIND_PASSAGE,
            )
            yield embedder_pb2.EmbedStreamRequest(sequence=start, request=request)

    async with open_channel(embedder) as channel:
        stub: embedder_pb2_grpc.EmbedderServiceAsyncStub = embedder_pb2_grpc.EmbedderServiceStub(
            channel
        )
        async for answer in stub.EmbedStream(sent()):
            check(answer.HasField("response"), answer)


def check(right: bool, what: object) -> None:
    """Stop rather than measure something else than what was meant."""
    if not right:
        raise RuntimeError(f"not as it must be: {what}")


def content_of(upload: Upload) -> bytes:
    """The bytes of a document that is in memory."""
    return upload.content if isinstance(upload.content, bytes) else upload.content.read_bytes()


def read_corpus(folder: Path, *, documents: int) -> list[Upload]:
    """The first documents of a BEIR folder; 0: all."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Upload(
            uri=f"{folder.name}:{row['_id']}",
            content=row["text"].encode(),
            media_type="text/plain",
            title=row["title"],
        )
        for row in (rows[:documents] if documents else rows)
        if row["text"].strip()
    ]


async def main(arguments: Sequence[str]) -> None:
    """Print the rates of each round and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ingest", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with a corpus.jsonl")
    parser.add_argument("--documents", type=int, default=500, help="only so many; 0: all")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    uploads = read_corpus(options.data, documents=options.documents)
    rates = await measure(uploads, rounds=options.rounds)
    Console().print(table(rates, title=f"{len(uploads)} documents, {rates.chunks} chunks"))


def table(rates: Rates, *, title: str) -> Table:
    """A row a round, then the median with its range, then what the processes took."""
    made = Table("round", "through the mesh", "embedder alone", "ratio", title=title)
    for number, row in enumerate(zip(rates.mesh, rates.alone, rates.ratios, strict=True), start=1):
        mesh, alone, ratio = row
        made.add_row(str(number), _readable(mesh), _readable(alone), f"{ratio:.3f}")
    low, high = min(rates.ratios), max(rates.ratios)
    made.add_row("median", "", "", f"{median(rates.ratios):.3f} ({low:.3f} to {high:.3f})")
    taken = rates.chunks * len(rates.mesh)
    cpu = ", ".join(f"{name} {1e3 * s / taken:.1f}" for name, s in rates.cpu_s.items())
    made.caption = f"processor time a chunk through the mesh, in ms: {cpu}"
    return made


def _readable(rate: Rate) -> str:
    return f"{rate.chunks_per_s:.1f}/s, model at work {rate.at_work:.0%}"
