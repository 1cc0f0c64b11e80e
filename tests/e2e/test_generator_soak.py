"""A thousand callers who leave a real generator, at every stage, leave nothing behind."""

import asyncio
import random
from pathlib import Path

import psutil
import pytest

from groundmesh.v1.common_pb2 import PRIORITY_BULK, PRIORITY_INTERACTIVE
from groundmesh.v1.generator_pb2 import GenerateRequest, Prompt, Sampling
from tests.footprint import Footprint
from tests.generator_process import ENDLESS, Client, children_of, endless, generator_client

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CALLS = 1000
WARM_UP = 200
AT_ONCE = 24
LONGEST_S = 0.8
MIB = 2**20


async def test_a_thousand_cancels_at_every_stage_leave_nothing(tmp_path: Path) -> None:
    async with generator_client(tmp_path) as client:
        processes = [psutil.Process(client.service.process.pid), *children_of(client.service)]
        await burst(client, WARM_UP)
        before = Footprint.of(processes)
        await burst(client, CALLS)
        after = Footprint.of(processes)
        load = (await client.info()).load
        assert load["waiting_prompt_tokens"] == 0
        after.assert_flat_since(before, rss_bytes=40 * MIB, descriptors=4)
        short = GenerateRequest(prompt=ENDLESS, sampling=Sampling(temperature=0, max_tokens=5))
        assert (await client.answer(short))[1].final.usage.completion_tokens == 5


async def burst(client: Client, count: int) -> None:
    """Ask and leave so many times; return once the engine counts nothing."""
    pick, at_once = random.Random(count), asyncio.Semaphore(AT_ONCE)

    async def leave(number: int) -> None:
        async with at_once:
            call = client.generator.Generate(request(number, pick), timeout=60)
            await asyncio.sleep(pick.random() * LONGEST_S)
            call.cancel()
            await asyncio.wait([asyncio.ensure_future(call.code())])

    await asyncio.gather(*(leave(number) for number in range(count)))
    await client.idle_after_s(limit_s=10)


def request(number: int, pick: random.Random) -> GenerateRequest:
    """One that writes for long, one that is long to read, one that waits its turn."""
    if number % 3 == 0:
        return endless()
    text = " ".join(str(pick.randrange(10)) for _ in range(1900))
    return GenerateRequest(
        prompt=Prompt(text=text),
        sampling=Sampling(max_tokens=100),
        priority=PRIORITY_BULK if number % 3 == 1 else PRIORITY_INTERACTIVE,
    )
