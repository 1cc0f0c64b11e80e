"""Rows of documents. What a principal may not read is left out by the query itself."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.identity import Principal
from groundmesh.names import CollectionName, DocumentName
from groundmesh_retriever.catalog import times
from groundmesh_retriever.catalog.tables import (
    ChunkSetState,
    chunk_sets,
    documents,
    outlines,
    readers,
)
from groundmesh_retriever.model import Collection, Document, DocumentDraft

EVERYBODY = ""
"""The reader label, in the catalog and in the store, of a document that names none."""

_other = chunk_sets.alias()


@dataclass(frozen=True)
class LiveDocument:
    """A document with the version that its chunks have in one index."""

    document: Document
    version: str


def labels_of(principal: Principal) -> frozenset[str] | None:
    """The labels to search for in the name of a principal; None when it reads everything."""
    return None if principal.reads_all else principal.labels | {EVERYBODY}


async def find(
    connection: AsyncConnection,
    collection: Collection,
    document_id: str,
    *,
    labels: frozenset[str] | None,
) -> LiveDocument | None:
    """The document of that id, if these labels may read it (None: any)."""
    statement = _live(collection, labels).where(documents.c.document_id == document_id)
    row = (await connection.execute(statement)).mappings().first()
    return None if row is None else _live_document(row, collection.name)


async def page(
    connection: AsyncConnection,
    collection: Collection,
    *,
    labels: frozenset[str] | None,
    after_uri: str,
    uri_prefix: str,
    limit: int,
) -> list[Document]:
    """Documents by URI, those that begin with the prefix and come after ``after_uri``."""
    uri = documents.c.uri
    statement = _live(collection, labels).where(uri > after_uri)
    if uri_prefix:
        begins = sa.func.substr(uri, 1, len(uri_prefix)) == uri_prefix
        statement = statement.where(uri >= uri_prefix, begins)
    rows = (await connection.execute(statement.order_by(uri).limit(limit))).mappings()
    return [_live_document(row, collection.name).document for row in rows]


async def missing(
    connection: AsyncConnection,
    collection: Collection,
    *,
    index_id: str,
    after_id: str,
    limit: int,
) -> list[Document]:
    """Documents by id that have nothing live in another index, those that come after an id."""
    there = sa.exists().where(
        _other.c.index_id == index_id,
        _other.c.document_id == documents.c.document_id,
        _other.c.state == ChunkSetState.LIVE,
    )
    statement = (
        _live(collection, None)
        .where(documents.c.document_id > after_id, ~there)
        .order_by(documents.c.document_id)
        .limit(limit)
    )
    rows = (await connection.execute(statement)).mappings()
    return [_live_document(row, collection.name).document for row in rows]


async def put(connection: AsyncConnection, collection: Collection, document: Document) -> None:
    """Write a document's row, in place of the one that is there."""
    await remove(connection, collection, document.name.document)
    draft = document.draft
    key = {"collection_uid": collection.uid, "document_id": document.name.document}
    await connection.execute(
        documents.insert().values(
            **key,
            uri=draft.uri,
            title=draft.title,
            media_type=draft.media_type,
            content_sha256=draft.content_sha256,
            content_bytes=draft.content_bytes,
            text_sha256=document.text_sha256,
            text_bytes=document.text_bytes,
            chunk_count=document.chunk_count,
            reader_labels=list(draft.reader_labels),
            metadata=dict(draft.metadata),
            create_time=times.from_datetime(document.create_time),
            update_time=times.from_datetime(document.update_time),
        )
    )
    labels = draft.reader_labels or (EVERYBODY,)
    await connection.execute(readers.insert(), [{**key, "label": label} for label in labels])


async def put_outline(
    connection: AsyncConnection, collection: Collection, document_id: str, data: bytes
) -> None:
    """Keep what splitting a document's text anew takes; it goes with the document's row."""
    await connection.execute(
        outlines.insert().values(collection_uid=collection.uid, document_id=document_id, data=data)
    )


async def outline(connection: AsyncConnection, collection: Collection, document_id: str) -> bytes:
    """What was kept so; empty when nothing was."""
    statement = sa.select(outlines.c.data).where(
        outlines.c.collection_uid == collection.uid, outlines.c.document_id == document_id
    )
    return bytes((await connection.execute(statement)).scalar() or b"")


async def remove(connection: AsyncConnection, collection: Collection, document_id: str) -> None:
    """Remove a document's row."""
    await connection.execute(
        documents.delete().where(
            documents.c.collection_uid == collection.uid, documents.c.document_id == document_id
        )
    )


def _live(collection: Collection, labels: frozenset[str] | None) -> sa.Select[Any]:
    of_document = sa.and_(
        chunk_sets.c.index_id == collection.index.id,
        chunk_sets.c.document_id == documents.c.document_id,
        chunk_sets.c.state == ChunkSetState.LIVE,
    )
    statement = (
        sa.select(documents, chunk_sets.c.version)
        .join_from(documents, chunk_sets, of_document)
        .where(documents.c.collection_uid == collection.uid)
    )
    if labels is None:
        return statement
    readable = sa.exists().where(
        readers.c.collection_uid == documents.c.collection_uid,
        readers.c.document_id == documents.c.document_id,
        readers.c.label.in_(sorted(labels)),
    )
    return statement.where(readable)


def _live_document(row: RowMapping, collection: CollectionName) -> LiveDocument:
    name = DocumentName(collection.tenant, collection.collection, row["document_id"])
    draft = DocumentDraft(
        uri=row["uri"],
        title=row["title"],
        media_type=row["media_type"],
        content_sha256=row["content_sha256"],
        content_bytes=row["content_bytes"],
        reader_labels=tuple(row["reader_labels"]),
        metadata=row["metadata"],
    )
    document = Document(
        name=name,
        draft=draft,
        text_sha256=row["text_sha256"],
        text_bytes=row["text_bytes"],
        chunk_count=row["chunk_count"],
        create_time=times.to_datetime(row["create_time"]),
        update_time=times.to_datetime(row["update_time"]),
    )
    return LiveDocument(document, row["version"])
