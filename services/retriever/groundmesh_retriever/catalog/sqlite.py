"""How SQLite is opened: to write and to read, on the event loop, in a thread, by its driver."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

READERS = 4
"""Questions that are asked at the same time, each in a thread."""
_BUSY_TIMEOUT_S = 15.0


def asynchronous(url: str, *, timeout_s: float) -> AsyncEngine:
    """By the asynchronous driver."""
    engine = create_async_engine(
        url, pool_timeout=timeout_s, connect_args={"timeout": _BUSY_TIMEOUT_S}
    )
    _listen(engine.sync_engine)
    return engine


def writer(url: sa.URL) -> Engine:
    """One connection for transactions that write, in whichever thread."""
    engine = _create(url, _BUSY_TIMEOUT_S, pool_size=1, max_overflow=0)
    _listen(engine)
    return engine.execution_options(write=True)


def reader(url: sa.URL, timeout_s: float) -> Engine:
    """Connections for single questions."""
    return _only_reading(url, _BUSY_TIMEOUT_S, pool_timeout=timeout_s, pool_size=READERS)


def reader_here(url: sa.URL) -> Connection:
    """A connection for the event loop itself: it never waits, and reading needs no lock."""
    return _only_reading(url, 0.0, poolclass=sa.NullPool).connect()


def _only_reading(url: sa.URL, busy_timeout_s: float, **pool: Any) -> Engine:
    engine = _create(url, busy_timeout_s, isolation_level="AUTOCOMMIT", **pool)
    sa.event.listen(engine, "connect", _set_query_only)
    return engine


def _create(url: sa.URL, busy_timeout_s: float, **options: Any) -> Engine:
    return sa.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        **options,
    )


def _listen(engine: Engine) -> None:
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)


def _set_query_only(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def _set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver shall not begin transactions by itself: it leaves DDL outside of them.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
