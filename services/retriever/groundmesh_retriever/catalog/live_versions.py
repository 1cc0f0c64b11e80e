"""What is live of documents, by versions of them: how a search knows which of its hits count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy import Connection

from groundmesh.names import CollectionName, DocumentName
from groundmesh_retriever.catalog.tables import ChunkSetState, chunk_sets, collections, documents
from groundmesh_retriever.model import DocumentHead


@dataclass(frozen=True)
class LiveVersion:
    """What is live of a document."""

    collection: CollectionName
    version: str
    since: int
    """The moment of its commit, as the collection's update time was then."""
    row: Sequence[str]
    """The document's id, and what follows it in a head."""

    @cached_property
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


def find(
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
