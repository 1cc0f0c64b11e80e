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


def processes(mesh: RealMesh) -> list[psutil.Process]:
    """All of the mesh but the trainer and the parse workers, which come and go."""
    family = psutil.Process(mesh.up.pid).children(recursive=True)
    return [each for each in family if "workers.child" not in " ".join(each.cmdline())]


async def idle(client: Client) -> bool:
    status = {each.service: each for each in await client.status()}
    load = status["generator"].load
    return load["running_requests"] == 0 and load["waiting_requests"] == 0


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
    before = Footprint.of(processes(filled))
    answered = await burst(filled, CALLS)
    assert CALLS // 2 <= answered <= CALLS
    async with Client(filled.address()) as client:
        end = time.monotonic() + 5
        while not await idle(client):
            assert time.monotonic() < end, "the engine still works for callers that left"
            await asyncio.sleep(0.1)
    after = Footprint.of(processes(filled))
    after.assert_flat_since(before, rss_bytes=150 * MIB, descriptors=12)
