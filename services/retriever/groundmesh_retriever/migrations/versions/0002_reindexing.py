"""Reindexes, and the outlines of documents that they split anew."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_HEX = sa.String(32)


def upgrade() -> None:
    op.create_table(
        "reindexes",
        sa.Column("id", _HEX, primary_key=True),
        sa.Column("collection_uid", _HEX, nullable=False),
        sa.Column("index_id", _HEX, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("begin_time", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["collection_uid"], ["collections.uid"], ondelete="CASCADE"),
    )
    op.create_index("ix_reindexes_collection", "reindexes", ["collection_uid"])
    under_way = sa.text("state = 'UNDER_WAY'")
    op.create_index(
        "uq_reindexes_under_way",
        "reindexes",
        ["collection_uid"],
        unique=True,
        sqlite_where=under_way,
        postgresql_where=under_way,
    )
    op.create_table(
        "outlines",
        sa.Column("collection_uid", _HEX, primary_key=True),
        sa.Column("document_id", _HEX, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_uid", "document_id"],
            ["documents.collection_uid", "documents.document_id"],
            ondelete="CASCADE",
        ),
    )
