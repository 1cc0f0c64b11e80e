"""How a stream of responses is written."""

import asyncio
from typing import Any

import grpc.aio

from groundmesh.server.call import CallerGone

_LAST_WRITE_S = 0.5
"""For a first write under way when its call is ended; the client may not be reading."""


class ResponseWriter:
    """Writes the responses of one call, one at a time, from whichever task has one.

    Its first write is finished even when the writing task is cancelled, by the deadline or a
    drain: grpc.aio can send no status after a first write that was given up half way, and the
    client would wait until its own deadline. After a later one it can.
    """

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Nothing has been written by ``context`` yet."""
        self._context = context
        self._turn = asyncio.Lock()
        self._has_begun = False

    async def write(self, response: Any) -> None:
        """Write, and wait while the client reads nothing; CallerGone when it has gone."""
        async with self._turn:
            try:
                if self._has_begun:
                    await self._context.write(response)
                else:
                    await self._begin(response)
            except grpc.aio.AbortError:
                raise
            except grpc.aio.BaseError as broken:
                raise CallerGone from broken

    async def _begin(self, response: Any) -> None:
        self._has_begun = True
        writing = asyncio.ensure_future(self._context.write(response))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            try:
                await asyncio.wait({writing}, timeout=_LAST_WRITE_S)
            finally:
                if not writing.cancel() and not writing.cancelled():
                    writing.exception()  # seen
            raise
