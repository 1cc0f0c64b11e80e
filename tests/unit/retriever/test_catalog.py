"""The catalog's database: migrations, transactions, and how it is asked."""

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.errors import Aborted, Reason, Unavailable
from groundmesh_retriever.catalog import (
    collections,
    tables,
)
from groundmesh_retriever.catalog.database import Database
from tests.unit.retriever.catalog_rows import added, collection, committed, document
from tests.waiting import until


async def test_replicas_that_start_at_once_migrate_once(url: str) -> None:
    replicas = [Database(url, timeout_s=10.0) for _ in range(6)]
    await asyncio.gather(*(replica.open() for replica in replicas))
    assert len({await replica.secret("key") for replica in replicas}) == 1
    for replica in replicas:
        await replica.close()


async def test_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), tables.metadata))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_sqlite_is_set_up_for_many_readers_and_a_crash(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'c.db'}", timeout_s=10.0)
    async with database.reading() as connection:
        for pragma, value in (("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2)):
            assert (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar() == value
    await database.close()


async def test_a_database_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'c.db'}", timeout_s=2.0)
    with pytest.raises(Unavailable) as caught:
        await database.open()
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    await database.close()
    await until(lambda: "_connection_worker" not in str(threading.enumerate()))  # aiosqlite's own


async def test_a_block_that_fails_changes_nothing(database: Database) -> None:
    made = collection()

    async def half_done() -> None:
        async with database.writing() as connection:
            await collections.add_pending_index(connection, made.uid, made.index)
            await collections.add(connection, made)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await half_done()
    async with database.reading() as connection:
        assert await collections.find(connection, made.name) is None


async def test_writers_wait_for_each_other(database: Database) -> None:
    made = await added(database, collection())

    async def write(number: int) -> None:
        await committed(database, made, document(made, f"u{number}"))

    await asyncio.gather(*(write(number) for number in range(30)))
    async with database.reading() as connection:
        view = await collections.view(connection, made.name)
    assert view is not None
    assert (view.document_count, view.chunk_count) == (30, 90)


async def test_a_question_to_sqlite_can_t_write(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'c.db'}", timeout_s=10.0)
    await database.open()
    with pytest.raises(Unavailable):
        await database.read(lambda c: c.exec_driver_sql("DELETE FROM collections"))
    await database.close()


async def test_writes_that_go_together_fail_alone(database: Database) -> None:
    async def insert(number: int, connection: AsyncConnection) -> int:
        values = {"name": f"secret {number}", "value": b"x"}
        await connection.execute(tables.secrets.insert().values(**values))
        if number == 2:
            raise Aborted("not this one")
        return number

    numbers = [0, 1, 2, 3, 1, 4]  # 1 is there when it comes again
    done = await asyncio.gather(
        *(database.write(partial(insert, number)) for number in numbers), return_exceptions=True
    )
    assert [each if isinstance(each, int) else type(each) for each in done] == [
        *(0, 1, Aborted, 3, IntegrityError, 4)
    ]
    async with database.reading() as connection:
        names = (await connection.execute(sa.select(tables.secrets.c.name))).scalars()
        assert sorted(names) == [f"secret {number}" for number in (0, 1, 3, 4)]


async def test_a_write_that_would_hold_up_others_fails_alone(database: Database) -> None:
    async with database.reading() as connection:
        if connection.dialect.name != "sqlite":
            pytest.skip("this database has a transaction for every write")

    async def slow(_connection: AsyncConnection) -> None:
        await asyncio.sleep(0)

    async def quick(_connection: AsyncConnection) -> int:
        return 1

    done = await asyncio.gather(database.write(slow), database.write(quick), return_exceptions=True)
    assert isinstance(done[0], RuntimeError)
    assert done[1] == 1


async def test_a_write_is_acknowledged_after_its_commit(database: Database) -> None:
    async def insert(connection: AsyncConnection) -> None:
        await connection.execute(tables.secrets.insert().values(name="a", value=b"x"))

    await database.write(insert)
    async with database.reading() as connection:
        assert (await connection.execute(sa.select(tables.secrets.c.name))).scalar() == "a"
