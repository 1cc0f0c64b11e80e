"""Sending documents up an ingestion stream while its events are read."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import grpc.aio

from groundmesh.client import from_wire, to_wire
from groundmesh.client.connection import Connection
from groundmesh.client.ingestion import DocumentIngested, IngestEvent, Outcome, Upload
from groundmesh.errors import DeadlineExceeded, InvalidArgument, Reason
from groundmesh.first_status import FirstStatus
from groundmesh.v1 import gateway_pb2
from groundmesh.v1.gateway_pb2 import IngestBegin, IngestRequest

if TYPE_CHECKING:
    from groundmesh.v1.gateway_pb2_grpc import GatewayServiceAsyncStub

Ingestible: TypeAlias = Upload | Path | str
"""A document, or the path of a file."""

Uploads: TypeAlias = Iterable[Ingestible] | AsyncIterable[Ingestible]


class Sender:
    """The requests of one stream. gRPC asks for the next only when there is room for it."""

    def __init__(self, begin: IngestBegin, uploads: Uploads) -> None:
        """Nothing is opened before its turn."""
        self._begin = begin
        self._uploads = uploads
        self._unreadable: deque[DocumentIngested] = deque()
        self._abandoned: dict[str, DocumentIngested] = {}
        self.broken: Exception | None = None
        """Why the stream had to be given up on this side."""

    def take_unreadable(self) -> Iterator[DocumentIngested]:
        """Files that could not be opened, and so were never sent."""
        while self._unreadable:
            yield self._unreadable.popleft()

    def explained(self, event: DocumentIngested) -> DocumentIngested:
        """The event; of a document that was given up on this side, with the reason why."""
        given_up = event.error is not None and event.error.reason is Reason.CALLER_GONE
        return self._abandoned.pop(event.uri, event) if given_up else event

    async def requests(self) -> AsyncIterator[IngestRequest]:
        """Every message of the stream."""
        try:
            yield IngestRequest(begin=self._begin)
            async for each in _async(self._uploads):
                upload = each if isinstance(each, Upload) else Upload.of_file(each)
                async with aclosing(self._document(upload)) as messages:
                    async for message in messages:
                        yield message
        except Exception as error:
            self.broken = error  # gRPC would only log it
            raise

    async def _document(self, upload: Upload) -> AsyncGenerator[IngestRequest, None]:
        async with aclosing(upload.parts()) as parts:
            try:
                part = await anext(parts, b"")
            except OSError as error:
                self._unreadable.append(_unreadable(upload, error))
                return
            yield IngestRequest(document=to_wire.ingest_document(upload))
            while part:
                yield IngestRequest(part=part)
                try:
                    part = await anext(parts, b"")
                except OSError as error:
                    self._abandoned[upload.uri] = _unreadable(upload, error)
                    yield IngestRequest(end=gateway_pb2.IngestEnd(abandon=True))
                    return
            yield IngestRequest(end=gateway_pb2.IngestEnd())


async def ingest(
    connection: Connection, stub: "GatewayServiceAsyncStub", sender: Sender, *, silence_s: float
) -> AsyncGenerator[IngestEvent, None]:
    """Run one stream and give its events; ``silence_s`` is the longest wait for the next one."""
    call = stub.Ingest(sender.requests())
    first_status = FirstStatus(call)
    try:
        while True:
            with connection.translated(), first_status:
                response = await _next(call, sender, silence_s)
            for unreadable in sender.take_unreadable():
                yield unreadable
            if response is None:
                return
            event = from_wire.ingest_event(response)
            if isinstance(event, DocumentIngested):
                event = sender.explained(event)
            if event is not None:
                yield event
    finally:
        call.cancel()


Call: TypeAlias = grpc.aio.StreamStreamCall[IngestRequest, gateway_pb2.IngestResponse]


async def _next(call: Call, sender: Sender, silence_s: float) -> gateway_pb2.IngestResponse | None:
    try:
        async with asyncio.timeout(silence_s):
            response = await call.read()
    except TimeoutError:
        raise DeadlineExceeded(f"the mesh said nothing for {silence_s:g} s") from None
    except asyncio.CancelledError:
        if sender.broken is not None:
            raise sender.broken from None
        raise
    return response if isinstance(response, gateway_pb2.IngestResponse) else None


def _unreadable(upload: Upload, error: OSError) -> DocumentIngested:
    reason = InvalidArgument(f"the file can't be read: {error.strerror}")
    return DocumentIngested(upload.uri, Outcome.FAILED, error=reason)


async def _async(uploads: Uploads) -> AsyncIterator[Ingestible]:
    if isinstance(uploads, AsyncIterable):
        async for upload in uploads:
            yield upload
    else:
        for upload in uploads:
            yield upload
