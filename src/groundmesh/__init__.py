"""Groundmesh: answers from a team's own documents, with citations that have been checked."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundmesh.client import Client as Client

__all__ = ["Client"]


def __getattr__(name: str) -> object:
    """Import the client on first use, so that cores can use this package without grpc."""
    if name == "Client":
        from groundmesh.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
