"""Messages of gateway, retriever and embedder to what an ingestion knows, and back."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct

from groundmesh.errors import InvalidArgument
from groundmesh.request_id import current_request_id
from groundmesh.status import to_status
from groundmesh.v1 import common_pb2, document_pb2, gateway_pb2, retriever_pb2
from groundmesh_gateway.ingestion.model import (
    ChunkStream,
    Description,
    DocumentDone,
    EmbeddedChunks,
    End,
    KnownDocument,
    NewDocument,
    Outcome,
    Part,
    Plan,
    Progress,
    Scalar,
    Step,
    Target,
)
from groundmesh_gateway.parsing.document import Place
from groundmesh_gateway.preparing import Chunk

_TEXT_PART_BYTES = 1024 * 1024

_OUTCOMES = {
    Outcome.INDEXED: gateway_pb2.INGEST_OUTCOME_INDEXED,
    Outcome.REPLACED: gateway_pb2.INGEST_OUTCOME_REPLACED,
    Outcome.UNCHANGED: gateway_pb2.INGEST_OUTCOME_UNCHANGED,
    Outcome.FAILED: gateway_pb2.INGEST_OUTCOME_FAILED,
}
_WRITTEN = {
    retriever_pb2.UPSERT_OUTCOME_CREATED: Outcome.INDEXED,
    retriever_pb2.UPSERT_OUTCOME_REPLACED: Outcome.REPLACED,
    retriever_pb2.UPSERT_OUTCOME_UNCHANGED: Outcome.UNCHANGED,
}


async def to_steps(requests: AsyncIterator[gateway_pb2.IngestRequest]) -> AsyncIterator[Step]:
    """The steps after the first."""
    async for request in requests:
        match request.WhichOneof("step"):
            case "document":
                yield _to_description(request.document)
            case "part":
                yield Part(request.part)
            case "end":
                yield End(request.end.abandon)
            case "begin":
                raise InvalidArgument.of_field("begin", "comes once, at the beginning")
            case _:
                raise InvalidArgument.of_field("step", "must be set")


def to_response(event: DocumentDone | Progress) -> gateway_pb2.IngestResponse:
    """An event for the client."""
    if isinstance(event, Progress):
        return gateway_pb2.IngestResponse(progress=_from_progress(event))
    done = gateway_pb2.DocumentIngested(
        uri=event.uri,
        outcome=_OUTCOMES[event.outcome],
        chunk_count=event.chunk_count,
        name=event.name,
    )
    if event.error is not None:
        done.error.CopyFrom(to_status(event.error, request_id=current_request_id()))
    return gateway_pb2.IngestResponse(document=done)


def known_document(document: document_pb2.Document) -> KnownDocument:
    """A document of the catalog."""
    return KnownDocument(
        name=document.name,
        description=Description(
            uri=document.uri,
            media_type=document.media_type,
            title=document.title,
            reader_labels=tuple(document.reader_labels),
            metadata=_to_metadata(document.metadata),
        ),
        content_sha256=document.content_sha256,
        chunk_count=document.chunk_count,
    )


def document_done(upserted: retriever_pb2.UpsertedDocument) -> DocumentDone:
    """What the retriever did with a document."""
    document = upserted.document
    outcome = _WRITTEN.get(upserted.outcome, Outcome.INDEXED)
    return DocumentDone(document.uri, outcome, document.chunk_count, document.name)


async def upsert_steps(
    plan: Plan, document: NewDocument, serving: ChunkStream, shadow: ChunkStream | None
) -> AsyncGenerator[retriever_pb2.UpsertDocumentsRequest, None]:
    """All that is sent to the retriever for one document."""
    yield retriever_pb2.UpsertDocumentsRequest(document=_from_new(plan, document))
    for part in _cut(document.text):
        yield retriever_pb2.UpsertDocumentsRequest(text_part=part)
    for part in _cut(document.outline):
        yield retriever_pb2.UpsertDocumentsRequest(outline_part=part)
    commit = retriever_pb2.UpsertCommit(chunk_count=serving.count)
    async for embedded in serving.parts:
        yield retriever_pb2.UpsertDocumentsRequest(chunks=_from_embedded(embedded, shadow=False))
    if shadow is not None:
        commit.shadow_chunk_count = shadow.count
        async for embedded in shadow.parts:
            yield retriever_pb2.UpsertDocumentsRequest(chunks=_from_embedded(embedded, shadow=True))
    yield retriever_pb2.UpsertDocumentsRequest(commit=commit)


async def shadow_steps(
    target: Target, name: str, version: str, chunks: ChunkStream
) -> AsyncGenerator[retriever_pb2.UpsertDocumentsRequest, None]:
    """All that is sent for a document that is there, and is to be in the shadow index."""
    begin = retriever_pb2.UpsertShadow(document=name, version=version, target=_from_shadow(target))
    yield retriever_pb2.UpsertDocumentsRequest(shadow=begin)
    async for embedded in chunks.parts:
        yield retriever_pb2.UpsertDocumentsRequest(chunks=_from_embedded(embedded, shadow=True))
    commit = retriever_pb2.UpsertCommit(shadow_chunk_count=chunks.count)
    yield retriever_pb2.UpsertDocumentsRequest(commit=commit)


def _cut(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _TEXT_PART_BYTES):
        yield data[start : start + _TEXT_PART_BYTES]


def _from_shadow(target: Target) -> retriever_pb2.ShadowTarget:
    return retriever_pb2.ShadowTarget(
        reindex_id=target.reindex_id,
        embedding_model=target.model,
        embedding_revision=target.revision,
    )


def _to_description(document: gateway_pb2.IngestDocument) -> Description:
    return Description(
        uri=document.uri,
        media_type=document.media_type,
        title=document.title,
        reader_labels=tuple(document.reader_labels),
        metadata=_to_metadata(document.metadata),
    )


def _to_metadata(struct: Struct) -> dict[str, Scalar | None]:
    """What is neither text nor number nor truth value is None, for the receiver to refuse."""
    metadata: dict[str, Scalar | None] = {}
    for field, value in struct.fields.items():
        match value.WhichOneof("kind"):
            case "string_value":
                metadata[field] = value.string_value
            case "number_value":
                metadata[field] = value.number_value
            case "bool_value":
                metadata[field] = value.bool_value
            case _:
                metadata[field] = None
    return metadata


def _from_new(plan: Plan, document: NewDocument) -> retriever_pb2.UpsertDocument:
    target = plan.serving
    description = document.description
    metadata = Struct()
    metadata.update(dict(description.metadata))
    return retriever_pb2.UpsertDocument(
        parent=target.collection,
        document=document_pb2.Document(
            uri=description.uri,
            title=description.title,
            media_type=description.media_type,
            content_sha256=document.content_sha256,
            content_bytes=document.content_bytes,
            reader_labels=description.reader_labels,
            metadata=metadata,
        ),
        embedding_model=target.model,
        embedding_revision=target.revision,
        index_version=target.index_version,
        shadow=_from_shadow(plan.shadow) if plan.shadow else None,
    )


def _from_embedded(embedded: EmbeddedChunks, *, shadow: bool) -> retriever_pb2.ChunkPart:
    return retriever_pb2.ChunkPart(
        shadow=shadow,
        chunks=_from_chunks(embedded.chunks),
        vectors=common_pb2.Vectors(
            data=embedded.vectors.data,
            rows=embedded.vectors.rows,
            dimension=embedded.vectors.dimension,
            dtype=common_pb2.VECTOR_DTYPE_F32,
        ),
    )


def _from_chunks(chunks: Sequence[Chunk]) -> Iterator[document_pb2.Chunk]:
    for chunk in chunks:
        yield document_pb2.Chunk(
            ordinal=chunk.ordinal,
            start_byte=chunk.start_byte,
            end_byte=chunk.end_byte,
            place=_from_place(chunk.place),
            tokens=chunk.tokens,
        )


def _from_place(place: Place) -> common_pb2.Place:
    return common_pb2.Place(
        heading_path=place.heading_path, page=place.page, sheet=place.sheet, slide=place.slide
    )


def _from_progress(progress: Progress) -> gateway_pb2.IngestProgress:
    elapsed = Duration()
    elapsed.FromMilliseconds(round(progress.elapsed_s * 1000))
    return gateway_pb2.IngestProgress(
        documents_done=progress.documents_done,
        documents_failed=progress.documents_failed,
        chunks=progress.chunks,
        bytes=progress.bytes_read,
        elapsed=elapsed,
        chunks_per_second=progress.chunks_per_s,
        bytes_per_second=progress.bytes_per_s,
    )
