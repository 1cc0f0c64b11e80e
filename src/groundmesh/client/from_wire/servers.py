"""The services of a mesh."""

from types import MappingProxyType

from groundmesh.client.from_wire.common import seconds
from groundmesh.client.values import ServerStatus
from groundmesh.v1 import mesh_pb2


def server_status(wire: mesh_pb2.ServerInfo, *, address: str) -> ServerStatus:
    """A server that answered."""
    return ServerStatus(
        service=wire.service,
        address=address,
        ready=wire.ready,
        version=wire.version,
        engine=wire.engine,
        engine_version=wire.engine_version,
        models=tuple(wire.models),
        uptime_s=seconds(wire.uptime),
        load=MappingProxyType(dict(wire.load)),
    )


def peer_status(wire: mesh_pb2.PeerInfo) -> ServerStatus:
    """A server that the gateway asked, whether it answered or not."""
    if wire.HasField("server"):
        return server_status(wire.server, address=wire.address)
    return ServerStatus(wire.service, wire.address, ready=False, error=wire.error)
