"""``MeshService``, which every server has: who it is, and how it does."""

import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from groundmesh.server.engine import Engine
from groundmesh.server.readiness import Phase, Readiness
from groundmesh.v1 import mesh_pb2, mesh_pb2_grpc

Peers = Callable[[], Awaitable[Sequence[mesh_pb2.PeerInfo]]]
"""Asks the servers behind this one; bounded in time, and never raises for one that is away."""


class MeshServicer(mesh_pb2_grpc.MeshServiceServicer):
    """Describes the engine, also while it still starts."""

    def __init__(
        self, name: str, *, engine: Engine, readiness: Readiness, peers: Peers | None
    ) -> None:
        """The process's uptime counts from here."""
        self._name = name
        self._engine = engine
        self._readiness = readiness
        self._peers = peers
        self._version = version("groundmesh")
        self._since = time.monotonic()

    async def GetServerInfo(  # noqa: N802 - the contract's name
        self,
        request: mesh_pb2.GetServerInfoRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> mesh_pb2.GetServerInfoResponse:
        """See ``mesh.proto``."""
        peers = await self._peers() if self._peers is not None else ()
        return mesh_pb2.GetServerInfoResponse(server=self._server(), peers=peers)

    def _server(self) -> mesh_pb2.ServerInfo:
        info = self._engine.describe()
        uptime = Duration()
        uptime.FromMilliseconds(round((time.monotonic() - self._since) * 1000))
        return mesh_pb2.ServerInfo(
            service=self._name,
            version=self._version,
            engine=info.engine,
            engine_version=info.engine_version,
            models=info.models,
            ready=self._readiness.phase is Phase.READY,
            uptime=uptime,
            load=info.load,
        )
