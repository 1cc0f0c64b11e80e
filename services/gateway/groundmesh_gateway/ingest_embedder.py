"""The embedder, as an ingestion wants it: one stream of requests, answered in any order."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from types import TracebackType
from typing import Self

import grpc.aio

from groundmesh.errors import FailedPrecondition, Internal, MeshError, Reason, Unavailable
from groundmesh.first_status import FirstStatus
from groundmesh.status import from_status
from groundmesh.v1 import common_pb2, embedder_pb2, embedder_pb2_grpc
from groundmesh_gateway.downstreams import Downstream
from groundmesh_gateway.ingestion.model import Matrix, Target


class RemoteEmbedder:
    """The target's model.

    By a stream and not by calls: those would hold slots that questions wait for, and be refused
    where the embedder is busy; a stream it reads as fast as it works.
    """

    def __init__(self, embedder: Downstream, target: Target, *, timeout_s: float) -> None:
        """``timeout_s`` is how long the answer to one request may take."""
        self._embedder = embedder
        self._target = target
        self._timeout_s = timeout_s
        self._stream: _EmbedStream | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            await self._stream.close()

    async def embed(self, texts: Sequence[str]) -> Matrix:
        """A row for each text; what the model would have to cut off is refused."""
        request = embedder_pb2.EmbedRequest(
            model=self._target.model,
            kind=embedder_pb2.INPUT_KIND_PASSAGE,
            texts=texts,
            strict=True,
            dtype=common_pb2.VECTOR_DTYPE_F32,
            priority=common_pb2.PRIORITY_BULK,
        )
        if self._stream is None or self._stream.is_over:
            self._stream = _EmbedStream(self._embedder)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._stream.ask(request)
        except TimeoutError:
            message = f"the embedder gave no answer for {self._timeout_s:g} s"
            raise Unavailable(message) from None
        return self._checked(response, len(texts))

    def _checked(self, response: embedder_pb2.EmbedResponse, count: int) -> Matrix:
        if response.revision != self._target.revision:
            raise FailedPrecondition(
                f"the embedder serves revision {response.revision} of {response.model} now, the "
                f"collection has vectors of {self._target.revision}",
                reason=Reason.MODEL_MISMATCH,
            )
        vectors = response.vectors
        if vectors.rows != count or len(vectors.data) != 4 * vectors.rows * vectors.dimension:
            raise Internal(f"the embedder gave {vectors.rows} rows for {count} texts")
        return Matrix(vectors.data, vectors.rows, vectors.dimension)


class Embedders:
    """The models of the targets that one call writes to, each on a stream of its own."""

    def __init__(self, embedder: Downstream, *, timeout_s: float) -> None:
        """``timeout_s`` is how long the answer to one request may take."""
        self._embedder = embedder
        self._timeout_s = timeout_s
        self._models: dict[tuple[str, str], RemoteEmbedder] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    def of(self, target: Target) -> RemoteEmbedder:
        """The model of a target."""
        key = (target.model, target.revision)
        if key not in self._models:
            made = RemoteEmbedder(self._embedder, target, timeout_s=self._timeout_s)
            self._open.push_async_exit(made)
            self._models[key] = made
        return self._models[key]


_Answer = asyncio.Future[embedder_pb2.EmbedResponse]


class _EmbedStream:
    """One ``EmbedStream`` call. When it breaks, all that wait for an answer learn why."""

    def __init__(self, embedder: Downstream) -> None:
        self._embedder = embedder
        self._call = embedder_pb2_grpc.EmbedderServiceStub(embedder.channel).EmbedStream()
        self._first_status = FirstStatus(self._call)
        self._sequence = count()
        self._waiting: dict[int, _Answer] = {}
        self._writing = asyncio.Lock()
        self._broken: MeshError = Unavailable("the stream to the embedder was given up")
        self._reader = asyncio.create_task(self._read())

    @property
    def is_over(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._reader.done()

    async def ask(self, request: embedder_pb2.EmbedRequest) -> embedder_pb2.EmbedResponse:
        """Send a request and wait for its answer."""
        sequence = next(self._sequence)
        answer: _Answer = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = answer
        try:
            await self._write(embedder_pb2.EmbedStreamRequest(sequence=sequence, request=request))
            return await answer
        finally:
            self._waiting.pop(sequence, None)
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # seen: it was raised, or the write has failed for the same

    async def close(self) -> None:
        """End the call and what reads it."""
        self._call.cancel()
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def _write(self, request: embedder_pb2.EmbedStreamRequest) -> None:
        async with self._writing:
            try:
                await self._call.write(request)
            except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
                await asyncio.wait([self._reader])  # which knows why
                raise self._broken from None

    async def _read(self) -> None:
        try:
            self._broken = await self._read_to_the_end()
        except MeshError as error:
            self._broken = error
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(self._broken)

    async def _read_to_the_end(self) -> MeshError:
        with self._embedder.errors(), self._first_status:
            while True:
                response = await self._call.read()
                if not isinstance(response, embedder_pb2.EmbedStreamResponse):
                    return Unavailable("the embedder ended the stream")
                answer = self._waiting.get(response.sequence)
                if answer is None or answer.done():
                    continue
                if response.HasField("error"):
                    answer.set_exception(from_status(response.error))
                else:
                    answer.set_result(response.response)
