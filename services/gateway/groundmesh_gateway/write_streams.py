"""A few ``UpsertDocuments`` calls, each for one document at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager, suppress
from types import TracebackType
from typing import Self, TypeVar

import grpc.aio

from groundmesh.errors import Unavailable
from groundmesh.first_status import FirstStatus
from groundmesh.status import from_status
from groundmesh.v1 import retriever_pb2, retriever_pb2_grpc
from groundmesh_gateway.downstreams import Downstream

_CLOSE_TIMEOUT_S = 1.0

R = TypeVar("R")


class WriteStreams:
    """Writes documents to the retriever, a few of them side by side."""

    def __init__(self, retriever: Downstream, *, streams: int, timeout_s: float) -> None:
        """``timeout_s`` is how long the retriever may take nothing and answer nothing."""
        self._retriever = retriever
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(streams)
        self._idle: list[_WriteStream] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def write(
        self, steps: AsyncGenerator[retriever_pb2.UpsertDocumentsRequest, None]
    ) -> retriever_pb2.UpsertedDocument:
        """Send the steps of a document; MeshError when nothing of it is in."""
        async with self._stream() as stream, aclosing(steps):
            response = await stream.write(steps)
        if response.HasField("error"):
            raise from_status(response.error)
        return response.upserted

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator["_WriteStream"]:
        """A stream of one's own; it is given up unless the block leaves it between documents."""
        async with self._free:
            if self._idle:
                stream = self._idle.pop()
            else:
                stream = _WriteStream(self._retriever, timeout_s=self._timeout_s)
            try:
                yield stream
            finally:
                if stream.between_documents:
                    self._idle.append(stream)
                else:
                    stream.give_up()


class _WriteStream:
    """One ``UpsertDocuments`` call, one document at a time."""

    def __init__(self, retriever: Downstream, *, timeout_s: float) -> None:
        self._retriever = retriever
        self._timeout_s = timeout_s
        stub = retriever_pb2_grpc.RetrieverServiceStub(retriever.channel)
        self._call = stub.UpsertDocuments()
        self._first_status = FirstStatus(self._call)
        self.between_documents = True

    async def write(
        self, steps: AsyncIterator[retriever_pb2.UpsertDocumentsRequest]
    ) -> retriever_pb2.UpsertDocumentsResponse:
        """Send a document's steps and wait for its result, which may come before the last."""
        self.between_documents = False
        reading = asyncio.ensure_future(self._call.read())
        try:
            with self._retriever.errors(), self._first_status:
                complete = await self._send(steps, reading)
                response = await self._patiently(reading)
        finally:
            if not reading.cancel() and not reading.cancelled():
                reading.exception()  # seen: a write has failed for the same reason
        if not isinstance(response, retriever_pb2.UpsertDocumentsResponse):
            raise Unavailable("the retriever ended the stream of documents")
        self.between_documents = complete
        return response

    async def close(self) -> None:
        """End it in order."""
        with suppress(TimeoutError, grpc.aio.AioRpcError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._call.done_writing()
                await self._call.read()
        self.give_up()

    def give_up(self) -> None:
        """End it now; the retriever drops a document that is half written."""
        self._call.cancel()

    async def _send(
        self,
        steps: AsyncIterator[retriever_pb2.UpsertDocumentsRequest],
        reading: asyncio.Future[object],
    ) -> bool:
        """Whether every step was sent: not when the result was there before."""
        async for step in steps:
            if reading.done():
                return False
            try:
                await self._patiently(self._call.write(step))
            except asyncio.InvalidStateError:  # the call is over, as the reading will say
                return False
        return True

    async def _patiently(self, step: Awaitable[R]) -> R:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await step
        except TimeoutError:
            raise Unavailable(f"the retriever did nothing for {self._timeout_s:g} s") from None
