"""The retriever, as an ingestion wants it: looked into, and written to."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing

from groundmesh.errors import Aborted, FailedPrecondition, MeshError, NotFound, Reason
from groundmesh.names import document_id
from groundmesh.v1 import document_pb2, document_pb2_grpc
from groundmesh_gateway import ingest_wire
from groundmesh_gateway.downstreams import Downstream
from groundmesh_gateway.ingestion.model import (
    ChunkStream,
    DocumentDone,
    EmbeddedChunks,
    KnownDocument,
    NewDocument,
    Plan,
    Target,
)
from groundmesh_gateway.ingestion.splitting_again import ChunkMaker, KeptText
from groundmesh_gateway.plans import Plans
from groundmesh_gateway.write_streams import WriteStreams


class RemoteStore:
    """A collection in the retriever; a document goes into every index that the plan names."""

    def __init__(
        self,
        retriever: Downstream,
        streams: WriteStreams,
        plans: Plans,
        *,
        maker: Callable[[Target], ChunkMaker],
        timeout_s: float,
    ) -> None:
        """``maker`` gives chunks for other targets than the one that they come for."""
        self._retriever = retriever
        self._streams = streams
        self._plans = plans
        self._maker = maker
        self._timeout_s = timeout_s
        self._target = plans.now.serving

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
        """Write a document in one commit; MeshError when nothing of it is in.

        Aborted when a reindex began or ended meanwhile: another attempt goes by the new plan.
        """
        plan = self._plans.now
        try:
            return await self._write(plan, document, parts)
        except (Aborted, FailedPrecondition) as error:
            if error.reason not in {Reason.INDEX_CHANGED, Reason.MODEL_MISMATCH}:
                raise
            raise await self._after(plan, error) from error

    async def _after(self, plan: Plan, error: MeshError) -> MeshError:
        if await self._plans.renew(plan) == plan:
            return error
        return Aborted(error.message, reason=Reason.INDEX_CHANGED)

    async def _write(
        self, plan: Plan, document: NewDocument, parts: AsyncIterator[EmbeddedChunks]
    ) -> DocumentDone:
        async with AsyncExitStack() as stack:
            serving = ChunkStream(parts, document.chunk_count)
            if plan.serving != self._target:
                # This run began before a reindex was committed: its chunks are of the old index.
                serving = await self._made(plan.serving, document, stack)
            shadow = await self._made(plan.shadow, document, stack) if plan.shadow else None
            steps = ingest_wire.upsert_steps(plan, document, serving, shadow)
            return ingest_wire.document_done(await self._streams.write(steps))

    async def _made(
        self, target: Target, document: NewDocument, stack: AsyncExitStack
    ) -> ChunkStream:
        maker = self._maker(target)
        description = document.description
        prepared = await maker.prepared(
            KeptText(description.uri, description.media_type, document.text, document.outline)
        )
        chunks: AsyncGenerator[EmbeddedChunks, None] = maker.embedded(prepared)
        await stack.enter_async_context(aclosing(chunks))
        return ChunkStream(chunks, prepared.chunk_count)
