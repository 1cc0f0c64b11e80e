"""The catalog's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_HEX = sa.String(32)
_SHA256 = sa.String(64)
_ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _create_collections()
    _create_documents()
    _create_chunk_sets()
    op.create_table("texts", sa.Column("sha256", _SHA256, primary_key=True))
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )


def _create_collections() -> None:
    op.create_table(
        "collections",
        sa.Column("uid", _HEX, primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("collection_id", sa.String(63), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("index_id", _HEX, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tenant", "collection_id", name="uq_collections_name"),
    )
    op.create_table(
        "indexes",
        sa.Column("id", _HEX, primary_key=True),
        sa.Column("collection_uid", _HEX, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("full_text", sa.Boolean, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_indexes_state", "indexes", ["state", "since"])


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("collection_uid", _HEX, primary_key=True),
        sa.Column("document_id", _HEX, primary_key=True),
        sa.Column("uri", _ORDERED, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("content_sha256", _SHA256, nullable=False),
        sa.Column("content_bytes", sa.BigInteger, nullable=False),
        sa.Column("text_sha256", _SHA256, nullable=False),
        sa.Column("text_bytes", sa.BigInteger, nullable=False),
        sa.Column("chunk_count", sa.Integer, nullable=False),
        sa.Column("reader_labels", sa.JSON, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["collection_uid"], ["collections.uid"], ondelete="CASCADE"),
    )
    op.create_index("ix_documents_uri", "documents", ["collection_uid", "uri"])
    op.create_index("ix_documents_text", "documents", ["text_sha256"])
    op.create_table(
        "readers",
        sa.Column("collection_uid", _HEX, primary_key=True),
        sa.Column("document_id", _HEX, primary_key=True),
        sa.Column("label", _ORDERED, primary_key=True),
        sa.ForeignKeyConstraint(
            ["collection_uid", "document_id"],
            ["documents.collection_uid", "documents.document_id"],
            ondelete="CASCADE",
        ),
    )


def _create_chunk_sets() -> None:
    op.create_table(
        "chunk_sets",
        sa.Column("version", _HEX, primary_key=True),
        sa.Column("index_id", _HEX, nullable=False),
        sa.Column("collection_uid", _HEX, nullable=False),
        sa.Column("document_id", _HEX, nullable=False),
        sa.Column("text_sha256", _SHA256, nullable=False),
        sa.Column("chunk_count", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_chunk_sets_state", "chunk_sets", ["state", "since"])
    op.create_index("ix_chunk_sets_text", "chunk_sets", ["text_sha256"])
    op.create_index("ix_chunk_sets_collection", "chunk_sets", ["collection_uid"])
    live = sa.text("state = 'LIVE'")
    op.create_index(
        "uq_chunk_sets_live",
        "chunk_sets",
        ["index_id", "document_id"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
