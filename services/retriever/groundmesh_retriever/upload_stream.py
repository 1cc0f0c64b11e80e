"""One ``UpsertDocuments`` stream: which step may follow which, and what each is answered with."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from groundmesh.errors import InvalidArgument, MeshError, Reason
from groundmesh.identity import Principal
from groundmesh.names import CollectionName, DocumentName
from groundmesh.request_id import current_request_id
from groundmesh.server.checks import in_range, max_bytes, require_name
from groundmesh.status import to_status
from groundmesh.v1 import retriever_pb2
from groundmesh_retriever.model import Outcome
from groundmesh_retriever.parts import ModelRef
from groundmesh_retriever.shadow_upload import ShadowUpload
from groundmesh_retriever.upload import Upload
from groundmesh_retriever.uploads import Made, ShadowRef, Uploads
from groundmesh_retriever.wire.common import matrix
from groundmesh_retriever.wire.documents import from_document, to_draft, to_span

log = logging.getLogger(__name__)

_MAX_TEXT_PART_BYTES = 4 << 20
_MAX_INT32 = (1 << 31) - 1
_READ_ON_S = 0.25
_BEGINNINGS = ("document", "shadow")
_OUTCOMES = {
    Outcome.CREATED: retriever_pb2.UPSERT_OUTCOME_CREATED,
    Outcome.REPLACED: retriever_pb2.UPSERT_OUTCOME_REPLACED,
    Outcome.UNCHANGED: retriever_pb2.UPSERT_OUTCOME_UNCHANGED,
}


async def read_on(steps: AsyncIterator[retriever_pb2.UpsertDocumentsRequest]) -> None:
    """Read for a moment what a client still sends to a stream that ends with an error.

    A client of grpc.aio that can't write any more reports that, instead of the error it was sent.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_READ_ON_S):
            async for _ in steps:
                pass


class UploadStream:
    """Takes the steps of one stream; the document that is being written is its own to abandon."""

    def __init__(self, uploads: Uploads, principal: Principal) -> None:
        self._uploads = uploads
        self._principal = principal
        self._open = False
        self._upload: Upload | ShadowUpload | None = None
        """None while a document that has failed is read to its end."""
        self._uri = ""

    async def take(
        self, step: retriever_pb2.UpsertDocumentsRequest
    ) -> retriever_pb2.UpsertDocumentsResponse | None:
        """Do a step; the document's result, if it has one now."""
        kind = step.WhichOneof("step")
        self._check_order(kind)
        try:
            return await self._do(kind, step)
        except MeshError as error:
            await self.abandon()
            if error.reason is Reason.TENANT_MISMATCH:
                raise
            return retriever_pb2.UpsertDocumentsResponse(
                uri=self._uri, error=to_status(error, request_id=current_request_id())
            )
        finally:
            if kind == "commit":
                self._open, self._upload = False, None

    def finish(self) -> None:
        """Refuse an end of the stream in the middle of a document."""
        if self._open:
            raise InvalidArgument.of_field("commit", f"{self._uri} was not committed")

    async def abandon(self) -> None:
        """Give up the document that is being written, if any."""
        upload, self._upload = self._upload, None
        if upload is None:
            return
        try:
            await upload.abandon()
        except MeshError as error:
            log.warning("an abandoned document waits for the sweep: %s", error.message)

    def _check_order(self, kind: str | None) -> None:
        if kind is None:
            raise InvalidArgument.of_field("step", "must be set")
        begins = kind in _BEGINNINGS
        if begins and self._open:
            raise InvalidArgument.of_field(kind, f"{self._uri} was not committed yet")
        if not begins and not self._open:
            raise InvalidArgument.of_field(kind, "no document was begun")

    async def _do(
        self, kind: str | None, step: retriever_pb2.UpsertDocumentsRequest
    ) -> retriever_pb2.UpsertDocumentsResponse | None:
        if kind == "document":
            await self._begin(step.document)
        elif kind == "shadow":
            await self._begin_shadow(step.shadow)
        elif self._upload is None:
            return None
        elif kind == "text_part":
            max_bytes(step.text_part, field=kind, limit=_MAX_TEXT_PART_BYTES)
            await self._upload.add_text(step.text_part)
        elif kind == "outline_part":
            max_bytes(step.outline_part, field=kind, limit=_MAX_TEXT_PART_BYTES)
            await self._upload.add_outline(step.outline_part)
        elif kind == "chunks":
            spans = [to_span(chunk) for chunk in step.chunks.chunks]
            vectors = matrix(step.chunks.vectors, field="chunks.vectors")
            await self._upload.add_chunks(spans, vectors, shadow=step.chunks.shadow)
        else:
            return await self._commit(self._upload, step.commit)
        return None

    async def _begin(self, step: retriever_pb2.UpsertDocument) -> None:
        self._open, self._uri = True, step.document.uri
        parent = require_name(step.parent, CollectionName, field="document.parent")
        made = Made(
            ModelRef(step.embedding_model, step.embedding_revision),
            step.index_version,
            _to_shadow(step.shadow) if step.HasField("shadow") else None,
        )
        self._upload = await self._uploads.begin(
            self._principal, parent, to_draft(step.document), made
        )

    async def _begin_shadow(self, step: retriever_pb2.UpsertShadow) -> None:
        self._open, self._uri = True, ""
        name = require_name(step.document, DocumentName, field="shadow.document")
        self._upload = await self._uploads.begin_shadow(
            self._principal, name, step.version, _to_shadow(step.target)
        )

    async def _commit(
        self, upload: Upload | ShadowUpload, step: retriever_pb2.UpsertCommit
    ) -> retriever_pb2.UpsertDocumentsResponse:
        for count in ("chunk_count", "shadow_chunk_count"):
            in_range(getattr(step, count), field=f"commit.{count}", low=0, high=_MAX_INT32)
        upserted = await upload.commit(step.chunk_count, step.shadow_chunk_count)
        return retriever_pb2.UpsertDocumentsResponse(
            uri=self._uri,
            upserted=retriever_pb2.UpsertedDocument(
                document=from_document(upserted.document), outcome=_OUTCOMES[upserted.outcome]
            ),
        )


def _to_shadow(sent: retriever_pb2.ShadowTarget) -> ShadowRef:
    return ShadowRef(sent.reindex_id, ModelRef(sent.embedding_model, sent.embedding_revision))
