"""Channels between the services, and to them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import grpc
import grpc.aio

from groundmesh.carrying_channel import CarryingChannel
from groundmesh.errors import InvalidArgument
from groundmesh.status import from_rpc_error

DEFAULT_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""The cap of requests unless set."""

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""The cap of responses, which servers of the mesh make and no stranger: the tokenizer file of some
models has over 30 MB."""

_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:")


@dataclass(frozen=True)
class ChannelOptions:
    """How a channel reaches its servers; ``tls`` turns on with any of the TLS files."""

    tls: bool = False
    """Speak TLS, trusting the system's certificate authorities unless ``tls_ca`` is given."""
    tls_ca: Path | None = None
    """CA certificates (PEM) that the server's certificate must come from."""
    tls_cert: Path | None = None
    """Own certificate chain (PEM), for servers that ask for one (mTLS)."""
    tls_key: Path | None = None
    """Private key (PEM) of the own certificate."""
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    """Largest message that is sent; responses may be larger."""
    health_service: str | None = None
    """Full name of a gRPC service: only backends whose health says that it serves get calls.

    For channels between services. Calls to any service of the address then fail at once while
    that one is not ready, so leave it out where a part that is not ready must be asked why.
    """


def open_channel(address: str, *, options: ChannelOptions | None = None) -> grpc.aio.Channel:
    """A channel to ``host:port`` or to any target of gRPC; close it (``async with``).

    Its calls are spread over every address that the name has, are retried where
    ``service_config.json`` says so, never wait for a server that is away, and carry on the request
    id, the principal and the deadline (less a margin) of the call that makes them. Give requests
    of streams as async iterators; one that raises cancels its call, so let it raise nothing.
    """
    options = options or ChannelOptions()
    target = address if address.startswith(_SCHEMES) else f"dns:///{address}"
    arguments = tuple(_arguments(options).items())
    credentials = _credentials(options)
    if credentials is None:
        return CarryingChannel(grpc.aio.insecure_channel(target, options=arguments))
    return CarryingChannel(grpc.aio.secure_channel(target, credentials, options=arguments))


@contextmanager
def translated(peer: str | None = None) -> Iterator[None]:
    """Turn the AioRpcError of calls in the block into the MeshError that the server raised.

    Usable around awaits and ``async for``. ``peer`` names the service in messages such as
    "the embedder can't be reached". A call that is cancelled on this side raises
    ``asyncio.CancelledError`` as ever.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error, peer=peer) from error


def _arguments(options: ChannelOptions) -> Mapping[str, str | int]:
    return {
        "grpc.service_config": json.dumps(service_config(options.health_service)),
        "grpc.max_send_message_length": options.max_message_bytes,
        "grpc.max_receive_message_length": max(options.max_message_bytes, MAX_RESPONSE_BYTES),
        "grpc.keepalive_time_ms": 30_000,
        "grpc.keepalive_timeout_ms": 10_000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 0,  # a long silent stream is kept alive, too
        # A service that was restarted is found again within seconds (gRPC's own: two minutes),
        "grpc.initial_reconnect_backoff_ms": 200,
        "grpc.min_reconnect_backoff_ms": 1_000,
        "grpc.max_reconnect_backoff_ms": 2_000,
        # and so is a new replica behind the same name (gRPC's own: 30 seconds).
        "grpc.dns_min_time_between_resolutions_ms": 5_000,
        # The mesh is reached directly, whatever proxy the environment names for the web.
        "grpc.enable_http_proxy": 0,
    }


def service_config(health_service: str | None = None) -> dict[str, object]:
    """The content of ``service_config.json``, watching the health of one service if asked."""
    text = files("groundmesh").joinpath("service_config.json").read_text(encoding="utf-8")
    config: dict[str, object] = json.loads(text)
    if health_service is not None:
        config["healthCheckConfig"] = {"serviceName": health_service}
    return config


def _credentials(options: ChannelOptions) -> grpc.ChannelCredentials | None:
    if (options.tls_cert is None) != (options.tls_key is None):
        raise InvalidArgument("a client certificate needs its key, and a key its certificate")
    if not (options.tls or options.tls_ca or options.tls_cert):
        return None
    return grpc.ssl_channel_credentials(
        root_certificates=_read(options.tls_ca),
        private_key=_read(options.tls_key),
        certificate_chain=_read(options.tls_cert),
    )


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
