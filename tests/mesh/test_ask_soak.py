"""A thousand questions through a gateway, half of them given up at a random moment."""

import asyncio
import random
from typing import Any

import psutil
import pytest

from groundmesh.channel import open_channel
from groundmesh.v1 import gateway_pb2_grpc
from groundmesh_generator.backends.base import EngineLoad
from tests.fakes.paced_generator import PacedBackend
from tests.footprint import Footprint
from tests.mesh.gateway_mesh import GatewayMesh, ask_request, gateway_mesh
from tests.waiting import until

pytestmark = pytest.mark.e2e  # puts load on

CALLS = 1000
WARM_UP = 200
AT_ONCE = 32
LONGEST_S = 0.12
"""A whole answer takes about this long: cancellations hit every stage of it."""

MIB = 2**20


async def test_a_thousand_asks_half_cancelled_leave_nothing() -> None:
    paced = PacedBackend(repeat=False, first_token_s=0.02, token_s=0.005)
    async with gateway_mesh(generator=paced) as mesh:
        await burst(mesh, WARM_UP)
        before = Footprint.of([psutil.Process()])
        answered = await burst(mesh, CALLS)
        assert CALLS * 0.4 < answered < CALLS * 0.9
        await until(lambda: paced.load == EngineLoad(0, 0), within_s=5)
        after = Footprint.of([psutil.Process()])
        assert (await mesh.server_info()).server.ready
    after.assert_flat_since(before, rss_bytes=20 * MIB, descriptors=4)


async def burst(mesh: GatewayMesh, count: int) -> int:
    """Ask ``count`` times, and give up every other question; how many were answered."""
    moments = random.Random(count)
    numbers = iter(range(count))
    address = mesh.servers["gateway"].address

    async def asker() -> int:
        answered = 0
        async with open_channel(address) as channel:
            stub: Any = gateway_pb2_grpc.GatewayServiceStub(channel)
            for number in numbers:
                patience = moments.uniform(0, LONGEST_S) if number % 2 else None
                answered += await ask(stub, patience)
        return answered

    return sum(await asyncio.gather(*(asker() for _ in range(AT_ONCE))))


async def ask(stub: Any, patience_s: float | None) -> bool:
    """Whether the whole answer came before the patience was over."""
    call = stub.Ask(ask_request(), timeout=30)
    try:
        async with asyncio.timeout(patience_s):
            events = [event async for event in call]
    except TimeoutError:
        call.cancel()
        return False
    assert events[-1].HasField("final")
    return True
