"""The one place where a server is made, so that another implementation can be tried here."""

import logging

import grpc.aio
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from groundmesh.channel import MAX_RESPONSE_BYTES
from groundmesh.errors import FailedPrecondition
from groundmesh.server.interceptor import Around, ChainInterceptor
from groundmesh.server.readiness import Readiness
from groundmesh.server.settings import ServerSettings
from groundmesh.server.tls import server_credentials

logger = logging.getLogger(__name__)

_MESH_SERVICE = "groundmesh.v1.MeshService"
_CHANNELZ_SERVICE = "grpc.channelz.v1.Channelz"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def build_server(settings: ServerSettings, around: Around) -> grpc.aio.Server:
    """A server with every option set, that has no port and no service yet."""
    return grpc.aio.server(interceptors=[ChainInterceptor(around)], options=_options(settings))


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", max(settings.max_message_bytes, MAX_RESPONSE_BYTES)),
        ("grpc.max_connection_age_ms", round(settings.max_connection_age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", round(settings.max_connection_age_grace_s * 1000)),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Our channels ping every 30 s, with calls or without; gRPC's own limit is five minutes.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        # Two servers on one port would share its connections; the second must fail instead.
        ("grpc.so_reuseport", 0),
        ("grpc.enable_channelz", 1),
    ]


def listen(server: grpc.aio.Server, settings: ServerSettings) -> str:
    """Bind the settings' port, with TLS where set; the address to call, or FailedPrecondition."""
    credentials = server_credentials(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    wanted = f"{host}:{settings.port}"
    try:
        if credentials is None:
            port = server.add_insecure_port(wanted)
        else:
            port = server.add_secure_port(wanted, credentials)
    except RuntimeError as error:
        raise FailedPrecondition(
            f"can't listen on {wanted}: the port is taken, or the address is not this machine's"
        ) from error
    return f"{host}:{port}"


def warn_of_open_doors(settings: ServerSettings) -> None:
    """Say it in the log when whoever reaches the port may do anything."""
    if settings.host in _LOOPBACK or settings.tls_client_ca is not None:
        return
    if settings.identity == "local":
        logger.warning("every caller who reaches %s acts with all rights", settings.host)
    else:
        logger.warning("every caller who reaches %s may act for anybody", settings.host)


def add_introspection(
    server: grpc.aio.Server, readiness: Readiness, grpc_services: tuple[str, ...]
) -> None:
    """Register health, channelz, and reflection over these and the server's own services."""
    health_pb2_grpc.add_HealthServicer_to_server(readiness.health, server)
    channelz.add_channelz_servicer(server)
    own = (_MESH_SERVICE, health.SERVICE_NAME, _CHANNELZ_SERVICE, reflection.SERVICE_NAME)
    # A service without RPCs of its own has the health of MeshService, which is listed once.
    reflection.enable_server_reflection(dict.fromkeys((*grpc_services, *own)), server)
