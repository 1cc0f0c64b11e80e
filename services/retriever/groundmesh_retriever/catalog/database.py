"""The catalog's database: SQLite on a laptop, PostgreSQL in a cluster, by its URL."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from importlib import resources
from typing import TypeVar, cast

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from groundmesh.errors import Reason, Unavailable
from groundmesh_retriever.catalog import sqlite, tables
from groundmesh_retriever.catalog.at_once import Work, look_at_once, write_together
from groundmesh_retriever.joining import Joining

log = logging.getLogger(__name__)

T = TypeVar("T")

_WORKS_A_TRANSACTION = 64
_MIGRATION_LOCK = 0x67_6D_72_74  # any number that no other program takes; "gmrt"


class Database:
    """Connections to the catalog, and its schema. Every transaction has an end in time."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._engine = _make_engine(url, timeout_s)
        # BEGIN IMMEDIATE: a transaction that will write takes SQLite's one write lock at once,
        # instead of failing half way when another has taken it meanwhile.
        self._writer = self._engine.execution_options(write=True)
        self._asking = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        is_sqlite = self._engine.dialect.name == "sqlite"
        self._reader = sqlite.reader(self._engine.url, timeout_s) if is_sqlite else None
        self._together = sqlite.writer(self._engine.url) if is_sqlite else None
        self._here: Connection | None = None
        self._threads = ThreadPoolExecutor(sqlite.READERS, thread_name_prefix="catalog")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="catalog-writer")
        self._joined = (
            Joining[Work, object](
                partial(self._write_together, self._together), most=_WORKS_A_TRANSACTION
            )
            if self._together is not None
            else None
        )

    async def open(self) -> None:
        """Bring the schema up to date; safe when several replicas do so at once."""
        async with self.writing(timeout_s=10 * self._timeout_s) as connection:
            await connection.run_sync(_migrate)
        if self._reader is not None:
            self._here = await asyncio.to_thread(sqlite.reader_here, self._engine.url)

    async def close(self) -> None:
        """Close every connection."""
        if self._joined is not None:
            await self._joined.close()
        for threads in (self._threads, self._writing):
            threads.shutdown(wait=False, cancel_futures=True)
        if self._here is not None:
            self._here.close()
            self._here = None
        for engine in (self._reader, self._together):
            if engine is not None:
                engine.dispose()
        await self._engine.dispose()

    async def read(self, question: Callable[[Connection], T], *, brief: bool = False) -> T:
        """Ask the catalog one thing, with as few steps as there can be: searches wait for it.

        One statement sees one state of the catalog; more of them need ``reading``. A ``brief``
        question is for some rows by their keys: SQLite answers it sooner than a thread would begin.
        """
        if brief and self._here is not None:
            with suppress(DBAPIError):  # busy being recovered: then it is worth a thread
                return question(self._here)
        with _errors_translated():
            async with asyncio.timeout(self._timeout_s):
                if self._reader is None:
                    async with self._asking.connect() as connection:
                        return await connection.run_sync(question)
                # The asynchronous driver of SQLite hands each step of a transaction to a thread
                # and waits for it, ten times in all; here the whole of it is one such step.
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, _ask, self._reader, question)

    async def look(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Ask several things of one state of the catalog, as work for ``write`` does."""
        if self._reader is None:
            async with self.reading() as connection:
                return await work(connection)
        with _errors_translated():
            async with asyncio.timeout(self._timeout_s):
                loop = asyncio.get_running_loop()
                result = await loop.run_in_executor(self._threads, look_at_once, self._reader, work)
                return cast(T, result)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state of the catalog and changes nothing."""
        async with self._transaction(self._engine, self._timeout_s) as connection:
            yield connection

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do something in a transaction and give its result once that is committed.

        SQLite has one writer at a time, and syncs the disk for each transaction: those who wait for
        it go along in one, each in a savepoint, so that what one raises undoes nothing of others.
        Such work waits for nothing but the connection. After an Unavailable it may be done or not.
        """
        if self._joined is None:
            async with self.writing() as connection:
                return await work(connection)
        result = await self._joined.do(work)
        return cast(T, result)

    async def _write_together(self, engine: Engine, works: Sequence[Work]) -> list[object]:
        with _errors_translated():
            async with asyncio.timeout(self._timeout_s):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._writing, write_together, engine, works)

    @asynccontextmanager
    async def writing(self, *, timeout_s: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end of the block, or not at all."""
        async with self._transaction(self._writer, timeout_s or self._timeout_s) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(
        self, engine: AsyncEngine, timeout_s: float
    ) -> AsyncIterator[AsyncConnection]:
        with _errors_translated():
            async with asyncio.timeout(timeout_s), engine.begin() as connection:
                yield connection

    async def secret(self, name: str) -> bytes:
        """A random key that every replica over this catalog shares, made when first asked for."""
        known = sa.select(tables.secrets.c.value).where(tables.secrets.c.name == name)
        while True:
            async with self.reading() as connection:
                if (value := (await connection.execute(known)).scalar()) is not None:
                    return bytes(value)
            try:
                async with self.writing() as connection:
                    await connection.execute(
                        tables.secrets.insert().values(name=name, value=secrets.token_bytes(32))
                    )
            except IntegrityError:
                continue  # another replica was first; read its key


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # the caller knows what it collided with
    except (DBAPIError, PoolTimeoutError, TimeoutError, OSError) as error:
        log.warning("catalog: %s: %s", type(error).__name__, error)
        raise Unavailable(
            "the catalog does not answer", reason=Reason.STORE_UNAVAILABLE, retry_after_s=1.0
        ) from error


def _ask(reader: Engine, question: Callable[[Connection], T]) -> T:
    with reader.connect() as connection:
        return question(connection)


def _make_engine(url: str, timeout_s: float) -> AsyncEngine:
    if not url.startswith("sqlite"):
        return create_async_engine(
            url, pool_pre_ping=True, pool_timeout=timeout_s, isolation_level="READ COMMITTED"
        )
    return sqlite.asynchronous(url, timeout_s=timeout_s)


def _migrate(connection: Connection) -> None:
    # On SQLite the write lock of this transaction keeps other replicas out.
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    config = Config()
    with resources.as_file(resources.files("groundmesh_retriever") / "migrations") as scripts:
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
