"""The retriever, as an ingestion wants it: looked into, and written to on a few streams."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager, suppress
from types import TracebackType
from typing import Self, TypeVar

import grpc.aio

from groundmesh.errors import NotFound, Reason, Unavailable
from groundmesh.first_status import FirstStatus
from groundmesh.names import document_id
from groundmesh.status import from_status
from groundmesh.v1 import (
    document_pb2,
    document_pb2_grpc,
    retriever_pb2,
    retriever_pb2_grpc,
)
from groundmesh_gateway import ingest_wire
from groundmesh_gateway.downstreams import Downstream
from groundmesh_gateway.ingestion.model import (
    DocumentDone,
    EmbeddedChunks,
    KnownDocument,
    NewDocument,
    Target,
)

_CLOSE_TIMEOUT_S = 1.0

R = TypeVar("R")


class RemoteStore:
    """The target's collection in the retriever, written to on a few streams side by side."""

    def __init__(
        self, retriever: Downstream, target: Target, *, streams: int, timeout_s: float
    ) -> None:
        """``timeout_s`` is how long the retriever may take nothing and answer nothing."""
        self._retriever = retriever
        self._target = target
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

    async def find(self, uri: str) -> KnownDocument | None:
        """The document at a URI, if it is there for the caller to see."""
        name = f"{self._target.collection}/documents/{document_id(uri)}"
        stub = document_pb2_grpc.DocumentServiceStub(self._retriever.channel)
        try:
            with self._retriever.errors():
                response = await stub.GetDocument(
                    document_pb2.GetDocumentRequest(name=name), timeout=self._timeout_s
                )
        except NotFound as error:
            if error.reason is Reason.COLLECTION_NOT_FOUND:
                raise
            return None
        return ingest_wire.known_document(response.document)

    async def write(
        self, document: NewDocument, parts: AsyncIterator[EmbeddedChunks]
    ) -> DocumentDone:
        """Write a document in one commit; MeshError when nothing of it is in."""
        async with (
            self._stream() as stream,
            aclosing(ingest_wire.upsert_steps(self._target, document, parts)) as steps,
        ):
            response = await stream.write(steps)
        if response.HasField("error"):
            raise from_status(response.error)
        return ingest_wire.document_done(response.upserted)

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
