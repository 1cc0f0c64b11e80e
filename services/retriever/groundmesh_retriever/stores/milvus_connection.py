"""One connection to Milvus: how it is opened, how long a call may take, what its errors mean."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc
from pymilvus import AsyncMilvusClient, MilvusException

from groundmesh import deadline
from groundmesh.errors import DeadlineExceeded
from groundmesh_retriever.stores.milvus_errors import away, translated

T = TypeVar("T")

# gRPC would wait for up to two minutes before it looks again whether a server is back, and share
# that waiting between channels.
_CHANNEL = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.use_local_subchannel_pool": 1,
    # pymilvus pings every 10 s. Milvus Lite takes that for an attack ("too_many_pings") and hangs
    # up; it bears one ping in 5 minutes.
    "grpc.keepalive_time_ms": 310_000,
    "grpc.keepalive_permit_without_calls": 0,
}
# pymilvus tries a failed call 75 times; who waits for ours would rather know at once. It opens a
# new channel when the old one fails, and fails when it can't; the one retry is for the new channel.
AT_ONCE = {"retry_times": 1, "retry_on_rate_limit": False}
"""Arguments of a call that fails at once."""


class MilvusConnection:
    """pymilvus's asynchronous client, every call of which ends in time.

    It takes at most ``timeout_s``, and never runs past the deadline of the call that it serves.
    """

    def __init__(self, uri: str, *, token: str, timeout_s: float) -> None:
        self.address = {"uri": uri, "token": token, "grpc_options": _CHANNEL, "dedicated": True}
        self.timeout_s = timeout_s
        self.client = AsyncMilvusClient(**self.address, timeout=timeout_s)
        # It logs every failed call with a traceback; what a failure means is told by our errors.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

    async def call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make one call of the client."""
        async with self.bounded(self.timeout_s):
            return await call()

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
