"""A gateway before services of which some, or all, are not ready: it watches their health."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from groundmesh.errors import Reason, Unavailable
from groundmesh.server.app import serving
from groundmesh.server.engine import Engine, EngineInfo
from groundmesh.server.running import RunningServer
from groundmesh.server.settings import ServerSettings
from tests.fakes.paced_generator import PacedBackend, paced_generator
from tests.mesh.gateway_mesh import GatewayMesh, gateway_mesh

SETTINGS = ServerSettings(drain_pause_s=0.2, drain_grace_s=1.0)


class Gated:
    """An engine that starts when a test lets it."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self.may_start = asyncio.Event()

    async def start(self) -> None:
        await self.may_start.wait()
        await self.inner.start()

    async def check(self) -> None:
        await self.inner.check()

    async def stop(self) -> None:
        await self.inner.stop()

    def describe(self) -> EngineInfo:
        return self.inner.describe()


class Replica:
    """A generator: what asks most of it, Generate, is never tried again by itself."""

    def __init__(self, *, starts: bool) -> None:
        self.backend = PacedBackend(repeat=False)
        generator = paced_generator(self.backend)
        self.engine = Gated(generator.engine)
        self.service = replace(generator, engine=self.engine)
        if starts:
            self.engine.may_start.set()

    @property
    def answers(self) -> int:
        """What it was asked for."""
        return max(0, len(self.backend.jobs) - 1)  # the first is its warm-up


@asynccontextmanager
async def before(*replicas: Replica) -> AsyncIterator[tuple[GatewayMesh, list[RunningServer]]]:
    """A mesh whose generator is these, behind one address."""
    async with _serving_all(*replicas) as servers:
        address = "ipv4:" + ",".join(server.address for server in servers)
        async with gateway_mesh(addresses={"generator": address}) as mesh:
            yield mesh, servers


@asynccontextmanager
async def _serving_all(*replicas: Replica) -> AsyncIterator[list[RunningServer]]:
    async with serving(replicas[0].service, SETTINGS) as server:
        if not replicas[1:]:
            yield [server]
            return
        async with _serving_all(*replicas[1:]) as others:
            yield [server, *others]


async def test_a_replica_that_is_not_ready_gets_no_calls() -> None:
    ready, starting = Replica(starts=True), Replica(starts=False)
    async with before(ready, starting) as (mesh, servers):
        await servers[0].ready()
        for _ in range(6):
            await mesh.ask()
        assert (ready.answers, starting.answers) == (6, 0)


async def test_a_replica_gets_calls_as_soon_as_it_is_ready() -> None:
    ready, starting = Replica(starts=True), Replica(starts=False)
    async with before(ready, starting) as (mesh, servers):
        await servers[0].ready()
        await mesh.ask()
        starting.engine.may_start.set()
        async with asyncio.timeout(10):
            while not starting.answers:
                await mesh.ask()


async def test_a_replica_that_goes_costs_no_question() -> None:
    first, second = Replica(starts=True), Replica(starts=True)
    async with before(first, second) as (mesh, servers):
        for server in servers:
            await server.ready()
        draining = asyncio.create_task(servers[0].drain())
        while not draining.done():
            await mesh.ask()
        answers = first.answers
        await mesh.ask()
        await mesh.ask()
        assert first.answers == answers


async def test_a_service_that_starts_is_named_at_once_and_tells_how_it_does() -> None:
    async with before(Replica(starts=False)) as (mesh, _):
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"the generator at ipv4:.* is not ready") as told:
            await mesh.ask()
        assert time.monotonic() - began < 5
        info = await mesh.server_info()
    assert told.value.reason is Reason.NOT_READY
    assert told.value.metadata["service"] == "generator"
    peer = info.peers[2]
    assert (peer.service, peer.error) == ("generator", "")
    assert not peer.server.ready


async def test_a_service_that_has_started_is_used_at_once() -> None:
    replica = Replica(starts=False)
    async with before(replica) as (mesh, _):
        with pytest.raises(Unavailable):
            await mesh.ask()
        replica.engine.may_start.set()
        async with asyncio.timeout(10):
            while not replica.answers:
                try:
                    await mesh.ask()
                except Unavailable:
                    await asyncio.sleep(0.01)
