"""One connection to Milvus: how it is opened, how long a call may take, what its errors mean."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, TypeVar

import grpc
import grpc.aio
from pymilvus import AsyncMilvusClient, MilvusException
from pymilvus.client.connection_manager import ConnectionConfig
from pymilvus.client.utils import check_status
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc, schema_pb2

from groundmesh import deadline
from groundmesh.errors import DeadlineExceeded
from groundmesh_retriever.stores.milvus_errors import away, translated

T = TypeVar("T")

# gRPC would wait for up to two minutes before it looks again whether a server is back, and share
# that waiting between channels.
CHANNEL = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.use_local_subchannel_pool": 1,
    # pymilvus pings every 10 s. Milvus Lite takes that for an attack ("too_many_pings") and hangs
    # up; it bears one ping in 5 minutes.
    "grpc.keepalive_time_ms": 310_000,
    "grpc.keepalive_permit_without_calls": 0,
}
"""How a channel to Milvus is kept."""
# pymilvus tries a failed call 75 times; who waits for ours would rather know at once. It opens a
# new channel when the old one fails, and fails when it can't; the one retry is for the new channel.
AT_ONCE = {"retry_times": 1, "retry_on_rate_limit": False}
"""Arguments of a call that fails at once."""


class MilvusConnection:
    """pymilvus's asynchronous client, and a channel for searches; every call ends in time.

    A call takes at most ``timeout_s``, and never runs past the deadline of the call that it serves.
    """

    def __init__(self, uri: str, *, token: str, timeout_s: float) -> None:
        self.address = {"uri": uri, "token": token, "grpc_options": CHANNEL, "dedicated": True}
        self.timeout_s = timeout_s
        self.client = AsyncMilvusClient(**self.address, timeout=timeout_s)
        self.place = ConnectionConfig.from_uri(uri, token=token)
        self._searches = _SearchChannel(self.place)
        # It logs every failed call with a traceback; what a failure means is told by our errors.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

    async def call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make one call of the client."""
        async with self.bounded(self.timeout_s):
            return await call()

    async def search(self, request: milvus_pb2.SearchRequest) -> schema_pb2.SearchResultData:
        """Search, past pymilvus's client."""
        async with self.bounded(self.timeout_s):
            answer = await self._searches.search(request)
            check_status(answer.status)
        return answer.results

    async def close(self) -> None:
        """Close both; callable twice."""
        await self.client.close()
        await self._searches.close()

    @asynccontextmanager
    async def bounded(self, timeout_s: float) -> AsyncIterator[None]:
        """A block of calls that ends in time, with errors of ours."""
        left = deadline.downstream_timeout()
        try:
            async with asyncio.timeout(timeout_s if left is None else min(timeout_s, left)):
                yield
        except MilvusException as error:
            raise translated(error) from error
        except TimeoutError as error:
            if left is not None and left < timeout_s:
                raise DeadlineExceeded("the vector store took longer than the call may") from error
            raise away(error) from error
        except (grpc.RpcError, OSError) as error:
            raise away(error) from error


class _SearchChannel:
    """A channel without interceptors, each of which is a task for every call."""

    def __init__(self, place: ConnectionConfig) -> None:
        self._place = place
        self._metadata = [("dbname", place.db_name)]
        if place.token:
            self._metadata.append(("authorization", b64encode(place.token.encode()).decode()))
        self._channel: grpc.aio.Channel | None = None

    async def search(self, request: milvus_pb2.SearchRequest) -> milvus_pb2.SearchResults:
        results: milvus_pb2.SearchResults = await self._call(request, metadata=self._metadata)
        return results

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    @cached_property
    def _call(self) -> Any:
        # Made by the first call: a channel belongs to the event loop that it is made in.
        options = [*CHANNEL.items(), ("grpc.max_receive_message_length", -1)]
        if self._place.get_handler_kwargs().get("secure"):
            secrets = grpc.ssl_channel_credentials()
            self._channel = grpc.aio.secure_channel(self._place.address, secrets, options)
        else:
            self._channel = grpc.aio.insecure_channel(self._place.address, options)
        return milvus_pb2_grpc.MilvusServiceStub(self._channel).Search
