"""The trainer's settings."""

from dataclasses import dataclass

from groundmesh.addresses import default_port
from groundmesh.server.settings import ServerSettings


@dataclass(frozen=True)
class TrainerSettings(ServerSettings):
    """Groundmesh's trainer; TrainerService is not built yet, so far it shows that Ray works."""

    port: int = default_port("trainer")
    """Port to listen on; 0 takes a free one and logs it."""
    ray_address: str | None = None
    """Ray cluster to use, host:port of its head; without one Ray runs on this machine."""
    start_timeout_s: float = 180.0
    """How long Ray may take to run its first task."""
