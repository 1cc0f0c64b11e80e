"""Where a mesh on one machine is found unless it is told otherwise."""

from collections.abc import Mapping
from types import MappingProxyType

LOOPBACK = "127.0.0.1"

BASE_PORT = 50050
"""The gateway's; the other members take the ports after it."""

PORT_OFFSETS: Mapping[str, int] = MappingProxyType(
    {"gateway": 0, "embedder": 1, "retriever": 2, "generator": 3, "trainer": 4, "milvus": 5}
)
"""Which one each member takes."""


def default_port(member: str) -> int:
    """Where a member listens unless it is told otherwise."""
    return BASE_PORT + PORT_OFFSETS[member]


def default_address(member: str) -> str:
    """``host:port`` at which the others call it unless they are told otherwise."""
    return f"{LOOPBACK}:{default_port(member)}"


DEFAULT_ADDRESS = default_address("gateway")
"""What a client calls."""
