"""Serve one service: settings -> engine -> servicer -> serve."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio

from groundmesh.errors import MeshError
from groundmesh.server.build import add_introspection, build_server, listen, warn_of_open_doors
from groundmesh.server.engine import Engine
from groundmesh.server.layers import Layers
from groundmesh.server.logs import configure_logs
from groundmesh.server.mesh_service import MeshServicer, Peers
from groundmesh.server.readiness import Readiness
from groundmesh.server.running import RunningServer, drain_limit_s
from groundmesh.server.settings import ServerSettings
from groundmesh.v1 import mesh_pb2_grpc

logger = logging.getLogger(__name__)

_EXIT_SLACK_S = 2.0
"""For the interpreter's own end, after which the process ends as it is."""


@dataclass(frozen=True)
class Service:
    """What makes one service of the mesh."""

    name: str
    """Short name: ``embedder``."""
    engine: Engine
    """What does the work."""
    register: Callable[[grpc.aio.Server], None]
    """Adds the servicers; their handlers are coroutines and async generators, raise MeshError."""
    grpc_services: tuple[str, ...]
    """Full names of what ``register`` adds, for reflection and health."""
    bulk_methods: frozenset[str] = frozenset()
    """Full method paths (``/package.Service/Method``) that are admitted behind all others."""
    peers: Peers | None = None
    """For ``GetServerInfo`` of a service that calls others."""


def run(service: Service, settings: ServerSettings) -> int:
    """Serve until SIGTERM or SIGINT (0) or until the engine can't go on (1): the exit code.

    The first signal drains, the second ends the process at once.
    """
    configure_logs(service.name, settings)
    try:
        return asyncio.run(_serve_until_over(service, settings))
    except MeshError as error:
        logger.error("%s can't start: %s", service.name, error)  # noqa: TRY400 - said plainly
        return 1


async def _serve_until_over(service: Service, settings: ServerSettings) -> int:
    told = _told_by_signal()
    async with serving(service, settings) as server:
        told.add_done_callback(lambda _: server.stop())
        error = await server.over()
        _exit_after(drain_limit_s(settings) + _EXIT_SLACK_S, code=1)
    code = 0 if error is None else 1
    _exit_after(_EXIT_SLACK_S, code=code)
    return code


def _told_by_signal() -> asyncio.Future[None]:
    """What the first signal completes; the second ends the process."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        if told.done():
            _exit_now(128 + number)
        logger.info("%s: draining; a second one ends at once", number.name)
        told.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return told


def _exit_after(seconds: float, *, code: int) -> None:
    """Nothing that an engine leaves behind, such as a thread that can't be stopped, holds us up."""
    timer = threading.Timer(seconds, _exit_now, (code,))
    timer.daemon = True
    timer.start()


def _exit_now(code: int) -> None:
    sys.stdout.flush()
    os._exit(code)


@asynccontextmanager
async def serving(service: Service, settings: ServerSettings) -> AsyncIterator[RunningServer]:
    """Serve for the length of a block, with the wiring of production; listens on entry.

    Raises MeshError when it can't listen. The end of the block drains.
    """
    warn_of_open_doors(settings)
    readiness = Readiness(service.grpc_services)
    layers = Layers(settings, readiness=readiness, bulk_methods=service.bulk_methods)
    server = build_server(settings, layers.around)
    service.register(server)
    mesh_servicer = MeshServicer(
        service.name, engine=service.engine, readiness=readiness, peers=service.peers
    )
    mesh_pb2_grpc.add_MeshServiceServicer_to_server(mesh_servicer, server)
    add_introspection(server, readiness, service.grpc_services)
    running = RunningServer(
        service.name,
        address=listen(server, settings),
        server=server,
        engine=service.engine,
        readiness=readiness,
        calls=layers.calls,
        settings=settings,
    )
    await running.start()
    try:
        yield running
    finally:
        await running.drain()
