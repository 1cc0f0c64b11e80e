"""The settings that every service has. ``load_settings`` reads them."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from groundmesh.server.loading import load_settings

__all__ = ["ServerSettings", "load_settings"]

_LAST_PORT = 65535
_LEAST: dict[str, float] = {
    "max_concurrent_calls": 1,
    "max_open_streams": 1,
    "max_message_bytes": 1024,
    "max_connection_age_s": 1,
    "default_deadline_s": 0.001,
    "engine_check_interval_s": 0.01,
    "engine_check_timeout_s": 0.01,
}


@dataclass(frozen=True)
class ServerSettings:
    """Settings of every service."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all."""
    port: int = 0
    """Port to listen on; 0 takes a free one and logs it."""
    identity: Literal["local", "trusted"] = "local"
    """local: every call is the one user of this machine, with all rights. trusted: a mesh peer
    says in metadata who the call is for; use it behind mTLS or in a closed network only."""
    tls_cert: Path | None = None
    """Certificate chain (PEM); with --tls-key turns TLS on. Reloaded when the file changes."""
    tls_key: Path | None = None
    """Private key (PEM) of the certificate."""
    tls_client_ca: Path | None = None
    """CA certificates (PEM) that clients must present a certificate of (mTLS)."""
    max_concurrent_calls: int = 32
    """Calls that run at once; more wait."""
    max_queued_calls: int = 128
    """Calls that wait; more are refused at once with RESOURCE_EXHAUSTED."""
    max_open_streams: int = 256
    """Client and bidirectional streams open at once; more are refused at once."""
    max_message_bytes: int = 16 * 1024 * 1024
    """Largest request message that is received."""
    max_connection_age_s: float = 600.0
    """Age at which a connection is asked to end, so that clients spread over new replicas."""
    max_connection_age_grace_s: float = 3600.0
    """How long the calls on such a connection may still take."""
    drain_pause_s: float = 1.5
    """Between saying NOT_SERVING and refusing calls, so that every balancer has heard of it."""
    drain_grace_s: float = 20.0
    """How long running calls may still take once the server drains."""
    default_deadline_s: float = 120.0
    """Deadline of unary and server-streaming calls that come without one."""
    engine_check_interval_s: float = 5.0
    """Pause between two checks of the engine."""
    engine_check_timeout_s: float = 30.0
    """An engine that takes longer than this to answer a check is dead."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe messages that are logged."""
    log_format: Literal["json", "text"] = "json"
    """json for machines, text for people."""

    def __post_init__(self) -> None:
        """ValueError, in words for who set it, for values that can't work."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("--tls-cert and --tls-key are given together or not at all")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError("--tls-client-ca needs --tls-cert and --tls-key")
        if not 0 <= self.port <= _LAST_PORT:
            raise ValueError(f"--port is {self.port}, must be from 0 to {_LAST_PORT}")
        for field in fields(ServerSettings):
            least = _LEAST.get(field.name, 0)
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not least <= value < math.inf:
                raise ValueError(f"--{field.name.replace('_', '-')} is {value}, least is {least}")
