"""A catalog on every database that it can be on."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from groundmesh_retriever.catalog import (
    tables,
)
from groundmesh_retriever.catalog.database import Database

POSTGRES = os.environ.get("GROUNDMESH_TEST_POSTGRES_URL", "")
"""An empty PostgreSQL database to run these tests on as well; its tables are dropped."""


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'catalog.db'}"
        return
    if not POSTGRES:
        pytest.skip("GROUNDMESH_TEST_POSTGRES_URL is not set")
    yield POSTGRES
    database = Database(POSTGRES, timeout_s=10.0)
    async with database.writing() as connection:
        await connection.run_sync(tables.metadata.drop_all)
        await connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
    await database.close()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    made = Database(url, timeout_s=10.0)
    await made.open()
    yield made
    await made.close()
