"""Rows of documents. What a principal may not read is left out by the query itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.identity import Principal
from groundmesh.names import CollectionName, DocumentName
from groundmesh_retriever.catalog import times
from groundmesh_retriever.catalog.tables import (
    ChunkSetState,
    chunk_sets,
    collections,
    documents,
    readers,
)
from groundmesh_retriever.model import Collection, Document, DocumentDraft, DocumentHead

EVERYBODY = ""
"""The reader label, in the catalog and in the store, of a document that names none."""


@dataclass(frozen=True)
class LiveDocument:
    """A document with the version that its chunks have in one index."""

    document: Document
    version: str


@dataclass(frozen=True)
class LiveVersion:
    """What is live of a document."""

    collection: CollectionName
    version: str
    since: int
    """The moment of its commit, as the collection's update time was then."""
    row: Sequence[str]
    """The document's id, and what follows it in a head."""

    @property
    def head(self) -> DocumentHead:
        """What its chunks say of their document; made when asked for, as most never are."""
        document_id, uri, title, content_sha256, text_sha256 = self.row
        of = self.collection
        name = DocumentName(of.tenant, of.collection, document_id)
        return DocumentHead(name, uri, title, content_sha256, text_sha256)


@dataclass(frozen=True)
class LiveVersions:
    """What the catalog says of some versions of documents at one moment."""

    index_id: str
    """The index that serves."""
    of: Mapping[str, LiveVersion | None]
    """By each version that is known in it: what is live of its document now, if anything is."""


_LIVE = chunk_sets.alias("live")
# By the versions' primary key alone: told of more, SQLite would take another index, and read
# every document of the collection.
_OF_VERSIONS = (
    sa.select(
        collections.c.index_id.label("serving"),
        chunk_sets.c.version,
        chunk_sets.c.index_id,
        _LIVE.c.version.label("live_version"),
        _LIVE.c.since,
        documents.c.document_id,
        documents.c.uri,
        documents.c.title,
        documents.c.content_sha256,
        documents.c.text_sha256,
    )
    .select_from(collections)
    .outerjoin(chunk_sets, chunk_sets.c.version.in_(sa.bindparam("versions", expanding=True)))
    .outerjoin(
        _LIVE,
        sa.and_(
            _LIVE.c.index_id == chunk_sets.c.index_id,
            _LIVE.c.document_id == chunk_sets.c.document_id,
            _LIVE.c.state == sa.literal_column(f"'{ChunkSetState.LIVE}'"),  # for its own index
        ),
    )
    .outerjoin(
        documents,
        sa.and_(
            documents.c.collection_uid == collections.c.uid,
            documents.c.document_id == _LIVE.c.document_id,
        ),
    )
    .where(
        collections.c.tenant == sa.bindparam("tenant"),
        collections.c.collection_id == sa.bindparam("collection_id"),
    )
)


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


def live(
    connection: Connection, name: CollectionName, versions: Sequence[str]
) -> LiveVersions | None:
    """What is live of the documents of these versions; None without a collection."""
    asked = {"tenant": name.tenant, "collection_id": name.collection, "versions": versions}
    rows = connection.execute(_OF_VERSIONS, asked).all()
    if not rows:
        return None
    serving = rows[0][0]
    # By position: most searches rank many more versions than they give chunks of.
    of = {
        version: LiveVersion(name, alive, since, head) if head[0] is not None else None
        for _, version, index_id, alive, since, *head in rows
        if index_id == serving
    }
    return LiveVersions(serving, of)


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
