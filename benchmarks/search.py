"""What the retriever adds to a search: through it, and straight through pymilvus.

Milvus Lite and the retriever are processes of their own, as ``groundmesh up`` runs them. Chunks
are pieces of Python's own reference with random vectors; GROUNDMESH_BENCH_CORPUS names another
corpus (a BEIR corpus.jsonl).
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.comparison import Comparison
from benchmarks.corpus import passages
from benchmarks.search_callers import Crowd, Place, Plan, Question, in_turns
from groundmesh.channel import open_channel, translated
from groundmesh.errors import Unavailable
from groundmesh.lifetime import tied
from groundmesh.v1 import collection_pb2, retriever_pb2
from groundmesh.v1.collection_pb2_grpc import CollectionServiceStub
from groundmesh.v1.common_pb2 import Vectors
from groundmesh.v1.document_pb2 import Chunk, Document
from groundmesh.v1.embedder_pb2 import EmbeddingModel
from groundmesh.v1.retriever_pb2_grpc import RetrieverServiceStub
from tests.milvus_servers import free_port, milvus_client, milvus_lite

if TYPE_CHECKING:
    from groundmesh.v1.retriever_pb2_grpc import RetrieverServiceAsyncStub

CHUNKS = 4_000
CHUNKS_A_DOCUMENT = 4
DIMENSION = 384
LONG = 4
"""Shorter words are mostly stop words."""
WARM_UP = 10
ALONE = 100
CALLERS = 20
TURNS = 9
EACH = 4
MODES = ("DENSE", "SPARSE", "HYBRID")
PARENT = "tenants/default/collections/bench"
MODEL = EmbeddingModel(model="none", revision="1", dimension=DIMENSION, max_input_tokens=256)


async def measure() -> list[Comparison]:
    """Each mode with one caller, then with twenty processes: three minutes in all."""
    rng = np.random.default_rng(0)
    texts = _texts()
    with tempfile.TemporaryDirectory() as folder, milvus_lite(Path(folder)) as milvus:
        await milvus.up()
        with _retriever(Path(folder), milvus.uri) as address:
            await _fill(address, texts, rng)
            place = Place(address, PARENT, milvus.uri, _index(milvus.uri))
            questions = list(_questions(texts, rng))
            alone = [await _alone(place, mode, questions) for mode in MODES]
            return alone + await asyncio.to_thread(_together, place, questions)


async def _alone(place: Place, mode: str, questions: Sequence[Question]) -> Comparison:
    ours, theirs = (
        each[WARM_UP:] for each in await in_turns(place, mode, questions[: WARM_UP + ALONE])
    )
    return Comparison.of_pairs(
        f"{mode.lower()} search, one caller", ("retriever", ours), ("pymilvus", theirs)
    )


def _together(place: Place, questions: Sequence[Question]) -> list[Comparison]:
    """Crowds of processes of both kinds take turns; a turn of each is a pair."""
    plan = Plan(place, MODES, TURNS, EACH)
    shares = [questions[number::CALLERS] for number in range(CALLERS)]
    with Crowd("retriever", plan, shares) as ours, Crowd("pymilvus", plan, shares) as theirs:
        return [_turns(mode, ours, theirs) for mode in MODES]


def _turns(mode: str, ours: Crowd, theirs: Crowd) -> Comparison:
    taken = [(ours.turn(), theirs.turn()) for _ in range(TURNS)]
    our_s, their_s = (
        [seconds / (CALLERS * EACH) for seconds in each] for each in zip(*taken, strict=True)
    )
    return Comparison.of_pairs(
        f"{mode.lower()} search, {CALLERS} processes", ("retriever", our_s), ("pymilvus", their_s)
    )


def _texts() -> list[str]:
    corpus = os.environ.get("GROUNDMESH_BENCH_CORPUS")
    if not corpus:
        return passages(CHUNKS)
    with Path(corpus).open(encoding="utf-8") as lines:
        rows = [json.loads(line) for _, line in zip(range(CHUNKS), lines, strict=False)]
    return [f"{row['title']} {row['text']}".replace("\n", " ") for row in rows]


def _questions(texts: Sequence[str], rng: np.random.Generator) -> Iterator[Question]:
    for _ in range(CALLERS * (1 + TURNS * EACH)):
        words = [word for word in texts[int(rng.integers(len(texts)))].split() if len(word) > LONG]
        text = " ".join(rng.choice(words or ["python"], size=8))
        yield Question(rng.normal(size=DIMENSION).astype(np.float32), text)


@contextmanager
def _retriever(folder: Path, milvus: str) -> Iterator[str]:
    port = free_port()
    flags = (f"--port={port}", f"--milvus-uri={milvus}", f"--data={folder / 'retriever'}")
    command = (sys.executable, "-m", "groundmesh_retriever", *flags, "--log-level=warning")
    process = subprocess.Popen(tied(command))
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@asynccontextmanager
async def _ready(address: str) -> AsyncIterator["RetrieverServiceAsyncStub"]:
    request = collection_pb2.CreateCollectionRequest(
        parent="tenants/default",
        collection_id="bench",
        collection=collection_pb2.Collection(index=collection_pb2.IndexConfig(embedding=MODEL)),
    )
    async with open_channel(address) as channel:
        async with asyncio.timeout(60):
            while True:
                try:
                    with translated():
                        await CollectionServiceStub(channel).CreateCollection(request)
                    break
                except Unavailable:
                    await asyncio.sleep(0.2)
        yield RetrieverServiceStub(channel)


async def _fill(address: str, texts: Sequence[str], rng: np.random.Generator) -> None:
    async def steps() -> AsyncIterator[retriever_pb2.UpsertDocumentsRequest]:
        for first in range(0, len(texts), CHUNKS_A_DOCUMENT):
            for step in _steps(first, texts[first : first + CHUNKS_A_DOCUMENT], rng):
                yield step

    async with _ready(address) as stub:
        answers = [answer async for answer in stub.UpsertDocuments(steps())]
    failed = [answer.error for answer in answers if answer.WhichOneof("result") == "error"]
    if failed:
        raise RuntimeError(failed[0])


def _steps(
    first: int, lines: Sequence[str], rng: np.random.Generator
) -> Iterator[retriever_pb2.UpsertDocumentsRequest]:
    text, at, chunks = "\n".join(lines).encode(), 0, []
    for ordinal, line in enumerate(lines):
        end = at + len(line.encode())
        chunks.append(Chunk(ordinal=ordinal, start_byte=at, end_byte=end, tokens=len(line.split())))
        at = end + 1
    document = Document(
        uri=f"file:///{first:06}",
        title=lines[0][:40],
        media_type="text/plain",
        content_sha256=hashlib.sha256(text).hexdigest(),
        content_bytes=len(text),
    )
    data = rng.normal(size=(len(lines), DIMENSION)).astype("<f4").tobytes()
    vectors = Vectors(data=data, rows=len(lines), dimension=DIMENSION)
    begin = retriever_pb2.UpsertDocument(
        parent=PARENT, document=document, embedding_model="none", embedding_revision="1"
    )
    yield retriever_pb2.UpsertDocumentsRequest(document=begin)
    yield retriever_pb2.UpsertDocumentsRequest(text_part=text)
    part = retriever_pb2.ChunkPart(chunks=chunks, vectors=vectors)
    yield retriever_pb2.UpsertDocumentsRequest(chunks=part)
    commit = retriever_pb2.UpsertCommit(chunk_count=len(lines))
    yield retriever_pb2.UpsertDocumentsRequest(commit=commit)


def _index(milvus: str) -> str:
    client = milvus_client(milvus)
    try:
        [index] = [name for name in client.list_collections() if name.startswith("gm_")]
    finally:
        client.close()
    return str(index)
