"""Documents and chunks as they travel."""

from collections.abc import Iterator

from groundmesh.v1 import common_pb2, document_pb2, retriever_pb2
from groundmesh_retriever.model import (
    Chunk,
    ChunkSpan,
    Document,
    DocumentDraft,
    DocumentHead,
    Place,
    Splitting,
)
from groundmesh_retriever.parts import chunk_id
from groundmesh_retriever.unbuilt import UnbuiltDocument
from groundmesh_retriever.wire.common import scalar, timestamp

_PART_BYTES = 1 << 20


def to_draft(sent: document_pb2.Document) -> DocumentDraft:
    """What the writer of a document says about it; the rest of the message is ours to set."""
    return DocumentDraft(
        uri=sent.uri,
        title=sent.title,
        media_type=sent.media_type,
        content_sha256=sent.content_sha256,
        content_bytes=sent.content_bytes,
        reader_labels=tuple(sent.reader_labels),
        metadata={
            name: scalar(value, field=f"document.metadata.{name}")
            for name, value in sent.metadata.fields.items()
        },
    )


def from_document(document: Document) -> document_pb2.Document:
    """A document of the catalog."""
    draft = document.draft
    sent = document_pb2.Document(
        name=str(document.name),
        uri=draft.uri,
        title=draft.title,
        media_type=draft.media_type,
        content_sha256=draft.content_sha256,
        content_bytes=draft.content_bytes,
        text_sha256=document.text_sha256,
        text_bytes=document.text_bytes,
        chunk_count=document.chunk_count,
        reader_labels=draft.reader_labels,
        create_time=timestamp(document.create_time),
        update_time=timestamp(document.update_time),
    )
    sent.metadata.update(draft.metadata)
    return sent


def from_unbuilt(source: UnbuiltDocument) -> Iterator[retriever_pb2.ReadUnbuiltDocumentResponse]:
    """A document with all that splitting it anew takes, in parts."""
    head = retriever_pb2.UnbuiltDocument(
        document=from_document(source.document), version=source.version
    )
    yield retriever_pb2.ReadUnbuiltDocumentResponse(document=head)
    for part in _parts(source.text):
        yield retriever_pb2.ReadUnbuiltDocumentResponse(text_part=part)
    for part in _parts(source.outline):
        yield retriever_pb2.ReadUnbuiltDocumentResponse(outline_part=part)


def _parts(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PART_BYTES):
        yield data[start : start + _PART_BYTES]


def to_span(sent: document_pb2.Chunk) -> ChunkSpan:
    """A chunk as its splitter hands it in."""
    return ChunkSpan(
        ordinal=sent.ordinal,
        start_byte=sent.start_byte,
        end_byte=sent.end_byte,
        tokens=sent.tokens,
        place=_to_place(sent.place),
    )


def from_chunk(chunk: Chunk, document: DocumentHead, splitting: Splitting) -> document_pb2.Chunk:
    """A chunk of a document."""
    span = chunk.span
    return document_pb2.Chunk(
        chunk_id=chunk_id(document, splitting, span.ordinal),
        document=str(document.name),
        ordinal=span.ordinal,
        text=chunk.text,
        start_byte=span.start_byte,
        end_byte=span.end_byte,
        place=_from_place(span.place),
        tokens=span.tokens,
    )


def _to_place(sent: common_pb2.Place) -> Place:
    return Place(
        heading_path=tuple(sent.heading_path),
        page=sent.page if sent.HasField("page") else None,
        sheet=sent.sheet if sent.HasField("sheet") else None,
        slide=sent.slide if sent.HasField("slide") else None,
    )


def _from_place(place: Place) -> common_pb2.Place:
    return common_pb2.Place(
        heading_path=place.heading_path, page=place.page, sheet=place.sheet, slide=place.slide
    )
