"""Start services inside a test, with the wiring of production."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from groundmesh.server.app import Service, serving
from groundmesh.server.running import RunningServer
from groundmesh.server.settings import ServerSettings


@asynccontextmanager
async def running(service: Service, **settings: Any) -> AsyncIterator[RunningServer]:
    """One service on a free loopback port, ready; ``settings`` are fields of ServerSettings.

    All is as in production, but that a drain pauses for nobody and waits for running calls one
    second only, unless it is set otherwise.
    """
    chosen = ServerSettings(**{"drain_pause_s": 0.0, "drain_grace_s": 1.0, **settings})
    async with serving(service, chosen) as server:
        await server.ready()
        yield server
