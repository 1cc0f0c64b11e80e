"""A hundred questions to the real engines, half of them given up at a random moment."""

import asyncio
import random
import time

import psutil
import pytest

from groundmesh.client import Client, Sampling
from tests.footprint import Footprint
from tests.real_mesh import RealMesh

pytestmark = pytest.mark.e2e

CALLS = 100
AT_ONCE = 10
LONGEST_S = 6.0
MIB = 2**20
FEW_TOKENS = Sampling(max_tokens=24)


@pytest.fixture(scope="module")
def filled(mesh: RealMesh, tmp_path_factory: pytest.TempPathFactory) -> RealMesh:
    note = tmp_path_factory.mktemp("soak") / "mill.txt"
    note.write_text("The mill of Quellbach grinds rye on Mondays.\n")
    done = mesh.cli("ingest", str(note), "--collection", "soak")
    assert done.returncode == 0, done.stderr
    return mesh


SERVICES = ("gateway", "embedder", "retriever", "generator")
BUSY = ("running_requests", "waiting_requests", "queued_texts", "queued_tokens", "running_tokens")


def footprints(mesh: RealMesh) -> dict[str, Footprint]:
    """What each service's own process holds."""
    return {
        name: Footprint.of([child])
        for child in psutil.Process(mesh.up.pid).children()
        for name in SERVICES
        if f"groundmesh_{name}" in child.cmdline()
    }


async def busy(client: Client) -> dict[str, float]:
    """Every figure of the engines' queues that is not 0."""
    return {
        f"{each.service} {name}": value
        for each in await client.status()
        for name, value in each.load.items()
        if name in BUSY and value
    }


async def ask_or_give_up(client: Client, patience_s: float | None) -> bool:
    try:
        async with asyncio.timeout(patience_s):
            await client.answer("When is rye ground?", collection="soak", sampling=FEW_TOKENS)
    except TimeoutError:
        return False
    return True


async def burst(mesh: RealMesh, count: int) -> int:
    moments = random.Random(count)
    numbers = iter(range(count))

    async def asker() -> int:
        answered = 0
        async with Client(mesh.address()) as client:
            for number in numbers:
                patience = moments.uniform(0, LONGEST_S) if number % 2 else None
                answered += await ask_or_give_up(client, patience)
        return answered

    return sum(await asyncio.gather(*(asker() for _ in range(AT_ONCE))))


async def test_a_hundred_real_asks_half_cancelled_leave_nothing(filled: RealMesh) -> None:
    await burst(filled, 20)
    before = footprints(filled)
    assert set(before) == set(SERVICES)
    answered = await burst(filled, CALLS)
    assert CALLS // 2 <= answered <= CALLS
    async with Client(filled.address()) as client:
        end = time.monotonic() + 5
        while left := await busy(client):
            assert time.monotonic() < end, f"still at work for callers that left: {left}"
            await asyncio.sleep(0.1)
    for name, after in footprints(filled).items():
        after.assert_flat_since(before[name], rss_bytes=40 * MIB, descriptors=8)
