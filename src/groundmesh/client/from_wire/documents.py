"""Documents and their chunks."""

from types import MappingProxyType

from google.protobuf.struct_pb2 import Struct

from groundmesh.client.from_wire.common import time
from groundmesh.client.values import Chunk, Document, Metadata, Place
from groundmesh.v1 import common_pb2, document_pb2


def document(wire: document_pb2.Document) -> Document:
    """A document."""
    return Document(
        name=wire.name,
        uri=wire.uri,
        title=wire.title,
        media_type=wire.media_type,
        content_sha256=wire.content_sha256,
        content_bytes=wire.content_bytes,
        text_sha256=wire.text_sha256,
        text_bytes=wire.text_bytes,
        chunk_count=wire.chunk_count,
        reader_labels=tuple(wire.reader_labels),
        metadata=_metadata(wire.metadata),
        created=time(wire.create_time),
        updated=time(wire.update_time),
    )


def chunk(wire: document_pb2.Chunk) -> Chunk:
    """A piece of a document."""
    return Chunk(
        id=wire.chunk_id,
        document=wire.document,
        ordinal=wire.ordinal,
        text=wire.text,
        start_byte=wire.start_byte,
        end_byte=wire.end_byte,
        place=_place(wire.place),
        tokens=wire.tokens,
    )


def _place(wire: common_pb2.Place) -> Place:
    return Place(
        heading_path=tuple(wire.heading_path),
        page=wire.page if wire.HasField("page") else None,
        sheet=wire.sheet if wire.HasField("sheet") else None,
        slide=wire.slide if wire.HasField("slide") else None,
    )


def _metadata(wire: Struct) -> Metadata:
    return MappingProxyType(
        {name: value for name, value in wire.items() if isinstance(value, str | float | bool)}
    )
