"""Transactions of SQLite of which the whole is one step of a thread; writes of many share one.

SQLAlchemy's asynchronous driver hands each step of each statement to a thread and waits for it: a
document took 7 ms of processor time so, while others embedded, and takes 3 ms here.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

Work = Callable[[AsyncConnection], Awaitable[object]]
"""What one caller does in the transaction; it waits for nothing but the connection."""


def write_together(engine: Engine, works: Sequence[Work]) -> list[object]:
    """Do all of them and commit; the result of each, or the error that it ended with.

    Each is in a savepoint, so that what one raises undoes nothing of others.
    """
    with engine.begin() as connection:
        return [_in_savepoint(connection, work) for work in works]


def _in_savepoint(connection: Connection, work: Work) -> object:
    try:
        with connection.begin_nested():
            return _done(work(cast(AsyncConnection, _AtOnce(connection))))
    except IntegrityError as error:
        return error
    except DBAPIError:
        raise  # the transaction's, and so everybody's
    except Exception as error:  # noqa: BLE001 - its caller's, who raises it
        return error


def look_at_once(engine: Engine, work: Work) -> object:
    """What somebody asks of one state of the catalog."""
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        try:
            return _done(work(cast(AsyncConnection, _AtOnce(connection))))
        finally:
            connection.exec_driver_sql("ROLLBACK")


@dataclass(frozen=True)
class _AtOnce:
    """What works use of an asynchronous connection, on one that answers before it returns."""

    connection: Connection

    @property
    def dialect(self) -> sa.Dialect:
        return self.connection.dialect

    async def execute(self, statement: Any, parameters: Any = None) -> sa.CursorResult[Any]:
        return self.connection.execute(statement, parameters)


def _done(work: Awaitable[object]) -> object:
    """The result of what never has to wait."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a shared transaction can wait for nothing but its connection")
