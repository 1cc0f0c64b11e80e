"""Rows of collections and of their indexes."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.names import CollectionName
from groundmesh_retriever.catalog import calibrations, chunk_sets, times
from groundmesh_retriever.catalog.tables import IndexState, collections, documents, indexes
from groundmesh_retriever.model import (
    Collection,
    CollectionChange,
    CollectionView,
    EmbeddingModel,
    Index,
    IndexConfig,
    Pooling,
    Splitting,
)

_WITH_INDEX = sa.select(
    collections,
    indexes.c.version.label("index_version"),
    indexes.c.config,
    indexes.c.full_text,
    indexes.c.since.label("index_since"),
).join_from(collections, indexes, indexes.c.id == collections.c.index_id)


def _of_documents(what: sa.ColumnElement[int], label: str) -> sa.Label[int]:
    """Of the documents of each row's collection alone: gateways ask for one every few seconds."""
    own = sa.select(what).where(documents.c.collection_uid == collections.c.uid)
    return own.correlate(collections).scalar_subquery().label(label)


_WITH_COUNTS = _WITH_INDEX.add_columns(
    _of_documents(sa.func.count(documents.c.document_id), "document_count"),
    _of_documents(sa.func.coalesce(sa.func.sum(documents.c.chunk_count), 0), "chunk_count"),
)


async def find(connection: AsyncConnection, name: CollectionName) -> Collection | None:
    """The collection of that name."""
    row = (await connection.execute(_WITH_INDEX.where(_named(name)))).mappings().first()
    return None if row is None else _collection(row)


def find_all(
    connection: Connection, names: Sequence[CollectionName]
) -> dict[CollectionName, Collection]:
    """Those of these collections that are there."""
    named = sa.tuple_(collections.c.tenant, collections.c.collection_id)
    wanted = named.in_([(name.tenant, name.collection) for name in names])
    rows = connection.execute(_WITH_INDEX.where(wanted)).mappings()
    return {found.name: found for found in map(_collection, rows)}


async def lock(connection: AsyncConnection, uid: str) -> Collection | None:
    """The collection of that uid, kept from changing until the transaction ends."""
    statement = _WITH_INDEX.where(collections.c.uid == uid).with_for_update(of=collections)
    row = (await connection.execute(statement)).mappings().first()
    return None if row is None else _collection(row)


async def view(connection: AsyncConnection, name: CollectionName) -> CollectionView | None:
    """The collection of that name with its counts."""
    row = (await connection.execute(_WITH_COUNTS.where(_named(name)))).mappings().first()
    return None if row is None else _view(row)


async def views(
    connection: AsyncConnection, tenant: str, *, after: str, limit: int
) -> list[CollectionView]:
    """Collections of a tenant whose id comes after ``after``, by id."""
    statement = (
        _WITH_COUNTS.where(collections.c.tenant == tenant, collections.c.collection_id > after)
        .order_by(collections.c.collection_id)
        .limit(limit)
    )
    return [_view(row) for row in (await connection.execute(statement)).mappings()]


async def add(connection: AsyncConnection, collection: Collection) -> None:
    """Add a collection and make its index serve; IntegrityError when the name is taken."""
    now = times.now()
    await connection.execute(
        collections.insert().values(
            uid=collection.uid,
            tenant=collection.name.tenant,
            collection_id=collection.name.collection,
            description=collection.description,
            index_id=collection.index.id,
            create_time=now,
            update_time=now,
        )
    )
    await connection.execute(
        indexes.update()
        .where(indexes.c.id == collection.index.id)
        .values(state=IndexState.SERVING, since=now)
    )


async def change(
    connection: AsyncConnection, name: CollectionName, change: CollectionChange
) -> None:
    """Change a collection's description or calibration."""
    new = {
        "description": change.description,
        "calibration": calibrations.to_stored(change.calibration),
    }
    changed = collections.update().where(_named(name)).values({f: new[f] for f in change.fields})
    uid = (await connection.execute(changed.returning(collections.c.uid))).scalar()
    if uid is not None:
        await touch(connection, uid)


async def touch(connection: AsyncConnection, uid: str) -> int | None:
    """The moment of a change to a collection; None when it is gone.

    Each is later than the one before, whatever the clocks of the replicas say, and until the
    transaction ends the collection does not change otherwise: who reads a collection knows by its
    update time which changes it has seen.
    """
    later = sa.case(
        (collections.c.update_time < times.now(), times.now()),
        else_=collections.c.update_time + 1,
    )
    changed = collections.update().where(collections.c.uid == uid).values(update_time=later)
    moment = (await connection.execute(changed.returning(collections.c.update_time))).scalar()
    return None if moment is None else int(moment)


async def remove(connection: AsyncConnection, uid: str) -> None:
    """Remove a collection with its documents; its indexes are retired."""
    await connection.execute(collections.delete().where(collections.c.uid == uid))
    await connection.execute(
        indexes.update()
        .where(indexes.c.collection_uid == uid)
        .values(state=IndexState.RETIRED, since=times.now())
    )


async def add_pending_index(connection: AsyncConnection, uid: str, index: Index) -> None:
    """Note an index that is about to be created, so that a crash leaves it to the sweep."""
    await connection.execute(
        indexes.insert().values(
            id=index.id,
            collection_uid=uid,
            version=index.version,
            state=IndexState.PENDING,
            config=asdict(index.config),
            full_text=index.full_text,
            since=times.now(),
        )
    )


async def retire_pending_index(connection: AsyncConnection, index_id: str) -> None:
    """Leave an index to the sweep, unless it is in use: an answer that it is may be lost."""
    await connection.execute(
        indexes.update()
        .where(indexes.c.id == index_id, indexes.c.state == IndexState.PENDING)
        .values(state=IndexState.RETIRED)
    )


async def retire_abandoned_indexes(connection: AsyncConnection, *, before: int) -> None:
    """Leave to the sweep what was PENDING since before that moment: its creator is gone."""
    await connection.execute(
        indexes.update()
        .where(indexes.c.state == IndexState.PENDING, indexes.c.since < before)
        .values(state=IndexState.RETIRED)
    )


async def retire_replaced_indexes(connection: AsyncConnection, *, before: int) -> None:
    """Leave to the sweep what another index replaced before that moment, and its versions."""
    replaced = sa.select(indexes.c.id).where(
        indexes.c.state == IndexState.REPLACED, indexes.c.since < before
    )
    for index_id in (await connection.execute(replaced)).scalars().all():
        await chunk_sets.remove_index(connection, index_id)
        await connection.execute(
            indexes.update().where(indexes.c.id == index_id).values(state=IndexState.RETIRED)
        )


async def retired_indexes(connection: AsyncConnection, *, limit: int) -> Sequence[str]:
    """Some indexes that are to be dropped."""
    statement = sa.select(indexes.c.id).where(indexes.c.state == IndexState.RETIRED).limit(limit)
    return (await connection.execute(statement)).scalars().all()


async def forget_index(connection: AsyncConnection, index_id: str) -> None:
    """Remove the row of an index that the vector store no longer has."""
    await connection.execute(indexes.delete().where(indexes.c.id == index_id))


def _named(name: CollectionName) -> sa.ColumnElement[bool]:
    return sa.and_(
        collections.c.tenant == name.tenant, collections.c.collection_id == name.collection
    )


def _view(row: RowMapping) -> CollectionView:
    return CollectionView(_collection(row), row["document_count"], int(row["chunk_count"]))


def _collection(row: RowMapping) -> Collection:
    return Collection(
        uid=row["uid"],
        name=CollectionName(row["tenant"], row["collection_id"]),
        description=row["description"],
        index=Index(
            id=row["index_id"],
            version=row["index_version"],
            config=config_of(row["config"]),
            full_text=row["full_text"],
        ),
        create_time=times.to_datetime(row["create_time"]),
        update_time=times.to_datetime(row["update_time"]),
        swap_time=times.to_datetime(row["index_since"]) if row["index_version"] > 1 else None,
        calibration=calibrations.of_stored(row["calibration"]),
    )


def config_of(stored: dict[str, Any]) -> IndexConfig:
    """The settings of an index, from its row."""
    embedding = {**stored["embedding"], "pooling": Pooling(stored["embedding"]["pooling"])}
    return IndexConfig(
        EmbeddingModel(**embedding), Splitting(**stored["splitting"]), stored["language"]
    )
