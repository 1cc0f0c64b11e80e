"""The services behind the gateway: their addresses, channels and how they do."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import grpc.aio

from groundmesh.channel import ChannelOptions, open_channel, translated
from groundmesh.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    MeshError,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh.v1 import mesh_pb2, mesh_pb2_grpc

_PEER_LIMIT_S = 1.0
"""How long one service may take to say how it does; a status is wanted now."""

_OF_THE_SERVICE = (DeadlineExceeded, Internal, ResourceExhausted, Unavailable)
"""What a service is to be named in; the others are about what the caller asked for."""


@dataclass(frozen=True)
class Downstream:
    """One service that the gateway calls; its channels are opened inside the running loop."""

    name: str
    address: str
    options: ChannelOptions

    @cached_property
    def channel(self) -> grpc.aio.Channel:
        """The one channel for its work; with a ``health_service``, only to replicas that serve."""
        if not self.address:
            raise FailedPrecondition(f"this mesh has no {self.name}")
        return open_channel(self.address, options=self.options)

    @cached_property
    def _status_channel(self) -> grpc.aio.Channel:
        """To whichever replica there is: one that is not ready is asked, too, how it does."""
        return open_channel(self.address, options=replace(self.options, health_service=None))

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what its calls in the block fail with as MeshErrors that name it."""
        try:
            with translated(f"{self.name} at {self.address}"):
                yield
        except _OF_THE_SERVICE as error:
            raise self._named(error) from error

    async def describe(self) -> mesh_pb2.PeerInfo:
        """What it says of itself, or why it can't be asked."""
        stub = mesh_pb2_grpc.MeshServiceStub(self._status_channel)
        peer = mesh_pb2.PeerInfo(service=self.name, address=self.address)
        try:
            with self.errors():
                info = await stub.GetServerInfo(
                    mesh_pb2.GetServerInfoRequest(), timeout=_PEER_LIMIT_S
                )
            peer.server.CopyFrom(info.server)
        except MeshError as error:
            peer.error = error.message
        return peer

    def _named(self, error: MeshError) -> MeshError:
        """The same error in words that say which service it is about, and what to do."""
        message = error.message
        if error.reason is Reason.SERVICE_UNREACHABLE and "can't be reached" in message:
            message = (
                f"the {self.name} at {self.address} can't be reached;"
                " see that it runs (groundmesh status), then try again"
            )
        elif self.name not in message:
            message = f"{self.name}: {message}"
        named = type(error)(
            message,
            reason=error.reason,
            fields=error.fields,
            retry_after_s=error.retry_after_s,
            metadata={**error.metadata, "service": self.name},
        )
        named.travelled = error.travelled
        return named

    async def close(self) -> None:
        """Close the channels that were ever opened."""
        if "channel" in self.__dict__:
            await self.channel.close()
        if "_status_channel" in self.__dict__:
            await self._status_channel.close()


@dataclass(frozen=True)
class Downstreams:
    """All services behind a gateway."""

    embedder: Downstream
    retriever: Downstream
    generator: Downstream
    trainer: Downstream

    def all(self) -> Sequence[Downstream]:
        """Each that there is, in the order in which people list them."""
        known = (self.embedder, self.retriever, self.generator, self.trainer)
        return [downstream for downstream in known if downstream.address]

    async def describe(self) -> Sequence[mesh_pb2.PeerInfo]:
        """How each does, asked at the same time."""
        return await asyncio.gather(*(downstream.describe() for downstream in self.all()))

    async def close(self) -> None:
        """Close every channel."""
        await asyncio.gather(*(downstream.close() for downstream in self.all()))
