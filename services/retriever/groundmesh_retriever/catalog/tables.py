"""The catalog's tables. Alembic migrations under ``migrations/`` make them; a test compares both.

A collection has one index that serves, a SHADOW one while it is reindexed, and for a moment the one
that was REPLACED; an index is one collection of the vector store. A chunk set is the chunks of one
version of one document in one index: PENDING while they are written, LIVE from the commit on,
RETIRED when the sweep may delete them. Times are integers, microseconds since 1970 in UTC, which
both databases compare alike.
"""

from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

_HEX = String(32)
_SHA256 = String(64)
_STATE = String(16)
# SQLite compares bytes; PostgreSQL has to be told to.
_ORDERED = Text().with_variant(Text(collation="C"), "postgresql")


class IndexState(StrEnum):
    """The life of an index."""

    PENDING = "PENDING"
    SHADOW = "SHADOW"
    SERVING = "SERVING"
    REPLACED = "REPLACED"
    """Calls that were under way when another took its place find it whole; then it is retired."""
    RETIRED = "RETIRED"


class ChunkSetState(StrEnum):
    """The life of a chunk set."""

    PENDING = "PENDING"
    LIVE = "LIVE"
    RETIRED = "RETIRED"


class ReindexState(StrEnum):
    """The life of a reindex."""

    UNDER_WAY = "UNDER_WAY"
    COMMITTED = "COMMITTED"
    ABANDONED = "ABANDONED"


collections = Table(
    "collections",
    metadata,
    Column("uid", _HEX, primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("collection_id", String(63), nullable=False),
    Column("description", Text, nullable=False),
    Column("index_id", _HEX, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Column("calibration", JSON(none_as_null=True)),
    UniqueConstraint("tenant", "collection_id", name="uq_collections_name"),
)

indexes = Table(
    "indexes",
    metadata,
    Column("id", _HEX, primary_key=True),
    Column("collection_uid", _HEX, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", _STATE, nullable=False),
    Column("config", JSON, nullable=False),
    Column("full_text", Boolean, nullable=False),
    Column("since", BigInteger, nullable=False),
    Index("ix_indexes_state", "state", "since"),
)

reindexes = Table(
    "reindexes",
    metadata,
    Column("id", _HEX, primary_key=True),
    Column("collection_uid", _HEX, nullable=False),
    Column("index_id", _HEX, nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("state", _STATE, nullable=False),
    Column("begin_time", BigInteger, nullable=False),
    ForeignKeyConstraint(["collection_uid"], ["collections.uid"], ondelete="CASCADE"),
    Index("ix_reindexes_collection", "collection_uid"),
    Index(
        "uq_reindexes_under_way",
        "collection_uid",
        unique=True,
        sqlite_where=text("state = 'UNDER_WAY'"),
        postgresql_where=text("state = 'UNDER_WAY'"),
    ),
)

documents = Table(
    "documents",
    metadata,
    Column("collection_uid", _HEX, primary_key=True),
    Column("document_id", _HEX, primary_key=True),
    Column("uri", _ORDERED, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("content_sha256", _SHA256, nullable=False),
    Column("content_bytes", BigInteger, nullable=False),
    Column("text_sha256", _SHA256, nullable=False),
    Column("text_bytes", BigInteger, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    Column("reader_labels", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    ForeignKeyConstraint(["collection_uid"], ["collections.uid"], ondelete="CASCADE"),
    Index("ix_documents_uri", "collection_uid", "uri"),
    Index("ix_documents_text", "text_sha256"),
)

outlines = Table(
    "outlines",
    metadata,
    Column("collection_uid", _HEX, primary_key=True),
    Column("document_id", _HEX, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["collection_uid", "document_id"],
        ["documents.collection_uid", "documents.document_id"],
        ondelete="CASCADE",
    ),
)
"""What splitting a text anew takes beside it, compressed; apart, as no search needs it."""

readers = Table(
    "readers",
    metadata,
    Column("collection_uid", _HEX, primary_key=True),
    Column("document_id", _HEX, primary_key=True),
    Column("label", _ORDERED, primary_key=True),
    ForeignKeyConstraint(
        ["collection_uid", "document_id"],
        ["documents.collection_uid", "documents.document_id"],
        ondelete="CASCADE",
    ),
)

chunk_sets = Table(
    "chunk_sets",
    metadata,
    Column("version", _HEX, primary_key=True),
    Column("index_id", _HEX, nullable=False),
    Column("collection_uid", _HEX, nullable=False),
    Column("document_id", _HEX, nullable=False),
    Column("text_sha256", _SHA256, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    Column("state", _STATE, nullable=False),
    Column("since", BigInteger, nullable=False),
    Index("ix_chunk_sets_state", "state", "since"),
    Index("ix_chunk_sets_text", "text_sha256"),
    Index("ix_chunk_sets_collection", "collection_uid"),
    Index(
        "uq_chunk_sets_live",
        "index_id",
        "document_id",
        unique=True,
        sqlite_where=text("state = 'LIVE'"),
        postgresql_where=text("state = 'LIVE'"),
    ),
)

texts = Table("texts", metadata, Column("sha256", _SHA256, primary_key=True))

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
