"""The gateway's engine. It keeps no state: what there is to start are the parse workers."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version

from groundmesh.server.engine import EngineInfo
from groundmesh_gateway.ingestion.engine import IngestEngine


class GatewayCore:
    """Ready as soon as its own parts are: a service behind it that is away fails calls, not it."""

    def __init__(
        self, *, ingest: IngestEngine | None, close: Callable[[], Awaitable[object]]
    ) -> None:
        """Without ``ingest`` it takes no documents, and starts no process."""
        self._ingest = ingest
        self._close = close

    async def start(self) -> None:
        """Have every part do something real."""
        if self._ingest is not None:
            await self._ingest.start()

    async def check(self) -> None:
        """Raise when a part is dead."""
        if self._ingest is not None:
            await self._ingest.check()

    async def stop(self) -> None:
        """End what was started."""
        if self._ingest is not None:
            await self._ingest.stop()
        await self._close()

    def describe(self) -> EngineInfo:
        """Present load."""
        return EngineInfo(
            engine="groundmesh-gateway",
            engine_version=version("groundmesh-gateway"),
            load={} if self._ingest is None else self._ingest.load(),
        )
