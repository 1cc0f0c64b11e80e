"""What this server says of itself: to probes, to balancers, and to calls that come too early."""

from collections.abc import Sequence
from enum import Enum

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

from groundmesh.errors import Reason, Unavailable

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Phase(Enum):
    """Where a server is in its life; it only ever goes forward."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    DEAD = "dead"


class Readiness:
    """The phase, and the health service that shows it.

    The whole server ("") is alive as long as it answers; each gRPC service serves in READY only.
    """

    def __init__(self, grpc_services: Sequence[str]) -> None:
        """``grpc_services`` are those whose health depends on the engine."""
        self.health = health_aio.HealthServicer()
        self._services = tuple(grpc_services)
        self.phase = Phase.STARTING

    async def show(self, phase: Phase) -> None:
        """Enter ``phase`` and tell everybody who watches."""
        self.phase = phase
        status = _SERVING if phase is Phase.READY else _NOT_SERVING
        for service in self._services:
            await self.health.set(service, status)

    def require_ready(self) -> None:
        """Unavailable unless the engine takes calls; a draining server takes those that come."""
        if self.phase is Phase.STARTING:
            raise Unavailable("the engine is still starting", reason=Reason.NOT_READY)
        if self.phase is Phase.DEAD:
            raise Unavailable("the engine is dead", reason=Reason.ENGINE_DEAD)
