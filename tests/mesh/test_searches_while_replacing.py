"""Searches without a pause while documents are replaced, on Milvus Lite in a process of its own.

The vectors are a fake embedder's: only equal texts share one.
"""

import asyncio
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest

from groundmesh.v1.retriever_pb2 import SEARCH_MODE_DENSE, SEARCH_MODE_HYBRID, SEARCH_MODE_SPARSE
from tests.mesh.retriever_mesh import Doc, RetrieverClient

pytestmark = pytest.mark.e2e  # has a store of its own

DOCUMENTS = 12
CHUNKS = 3
REPLACEMENTS = 80
WRITERS = 2
MODES = (SEARCH_MODE_DENSE, SEARCH_MODE_SPARSE, SEARCH_MODE_HYBRID)
LINE = re.compile(r"bridge (\d+) edition (\d+) line (\d+)")


def doc(number: int, edition: int) -> Doc:
    lines = [f"bridge {number} edition {edition} line {line}" for line in range(CHUNKS)]
    return Doc(f"file:///{number}", lines)


@dataclass
class Editions:
    """A search may see any edition from the last acknowledged to the last begun."""

    acknowledged: list[int] = field(default_factory=lambda: [1] * DOCUMENTS)
    begun: list[int] = field(default_factory=lambda: [1] * DOCUMENTS)
    searches: Counter[int] = field(default_factory=Counter)

    async def replace(self, client: RetrieverClient, numbers: range) -> None:
        for turn in range(REPLACEMENTS // WRITERS):
            number = numbers[turn % len(numbers)]
            self.begun[number] += 1
            [answer] = await client.upsert(doc(number, self.begun[number]))
            assert answer.WhichOneof("result") == "upserted", answer
            self.acknowledged[number] = self.begun[number]

    async def search(self, client: RetrieverClient, mode: int, done: asyncio.Event) -> None:
        while not done.is_set():
            low = list(self.acknowledged)
            texts = await client.found("bridge", mode=mode, limit=1_000)
            self.check(texts, low, list(self.begun))
            self.searches[mode] += 1

    def check(self, texts: list[str], low: list[int], high: list[int]) -> None:
        seen: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for text in texts:
            match = LINE.fullmatch(text)
            assert match is not None
            number, edition, line = map(int, match.groups())
            seen[number].append((edition, line))
        for number in range(DOCUMENTS):
            chunks = sorted(seen[number])
            wholes = [
                [(edition, line) for line in range(CHUNKS)]
                for edition in range(low[number], high[number] + 1)
            ]
            assert chunks in wholes, f"document {number}: {chunks}, not one of {wholes}"


async def test_every_search_sees_exactly_one_edition_of_each_document(
    client: RetrieverClient,
) -> None:
    await client.upsert(*(doc(number, 1) for number in range(DOCUMENTS)))
    editions, done = Editions(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for mode in MODES:
            group.create_task(editions.search(client, mode, done))
        async with asyncio.TaskGroup() as writers:
            for number in range(WRITERS):
                mine = range(number, DOCUMENTS, WRITERS)
                writers.create_task(editions.replace(client, mine))
        done.set()
    assert all(editions.searches[mode] > 10 for mode in MODES), editions.searches
