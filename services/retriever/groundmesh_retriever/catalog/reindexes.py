"""Rows of reindexes: which shadow index is built for a collection, and the moment it takes over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh_retriever.catalog import chunk_sets, collections, times
from groundmesh_retriever.catalog.tables import ChunkSetState, IndexState, ReindexState
from groundmesh_retriever.catalog.tables import chunk_sets as chunk_set_table
from groundmesh_retriever.catalog.tables import collections as collection_table
from groundmesh_retriever.catalog.tables import documents as document_table
from groundmesh_retriever.catalog.tables import indexes as index_table
from groundmesh_retriever.catalog.tables import reindexes as table
from groundmesh_retriever.model import Collection, CollectionView, Index, Reindex, ReindexView


@dataclass(frozen=True)
class ReindexRecord:
    """A reindex of any age."""

    id: str
    state: ReindexState


async def under_way(connection: AsyncConnection, uid: str) -> Reindex | None:
    """The reindex of a collection that is under way."""
    return (await all_under_way(connection, [uid])).get(uid)


async def all_under_way(connection: AsyncConnection, uids: Sequence[str]) -> dict[str, Reindex]:
    """The reindexes of these collections that are under way, by the collection's uid."""
    statement = (
        sa.select(table, index_table.c.version, index_table.c.config, index_table.c.full_text)
        .join_from(table, index_table, index_table.c.id == table.c.index_id)
        .where(table.c.collection_uid.in_(uids), table.c.state == ReindexState.UNDER_WAY)
    )
    rows = (await connection.execute(statement)).mappings()
    return {
        row["collection_uid"]: Reindex(
            id=row["id"],
            index=Index(
                id=row["index_id"],
                version=row["version"],
                config=collections.config_of(row["config"]),
                full_text=row["full_text"],
            ),
            begin_time=times.to_datetime(row["begin_time"]),
        )
        for row in rows
    }


async def find(
    connection: AsyncConnection, uid: str, *, reindex_id: str = "", request_id: str = ""
) -> ReindexRecord | None:
    """A collection's reindex by its id, or by the id of the request that began it."""
    same = table.c.id == reindex_id if reindex_id else table.c.request_id == request_id
    statement = sa.select(table.c.id, table.c.state).where(table.c.collection_uid == uid, same)
    row = (await connection.execute(statement)).first()
    return None if row is None else ReindexRecord(row.id, ReindexState(row.state))


async def add(connection: AsyncConnection, uid: str, reindex: Reindex, *, request_id: str) -> None:
    """Put a collection's pending index beside its serving one; IntegrityError: there is one."""
    await connection.execute(
        table.insert().values(
            id=reindex.id,
            collection_uid=uid,
            index_id=reindex.index.id,
            request_id=request_id,
            state=ReindexState.UNDER_WAY,
            begin_time=times.from_datetime(reindex.begin_time),
        )
    )
    await _set_index(connection, reindex.index.id, IndexState.SHADOW)


async def counts(connection: AsyncConnection, uids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Of the reindexes under way: documents that the shadow has, and those that it lacks."""
    has = sa.and_(
        chunk_set_table.c.index_id == table.c.index_id,
        chunk_set_table.c.document_id == document_table.c.document_id,
        chunk_set_table.c.state == ChunkSetState.LIVE,
    )
    built = sa.func.count(chunk_set_table.c.version)
    statement = (
        sa.select(table.c.collection_uid, built, sa.func.count() - built)
        .join_from(table, document_table, document_table.c.collection_uid == table.c.collection_uid)
        .outerjoin(chunk_set_table, has)
        .where(table.c.collection_uid.in_(uids), table.c.state == ReindexState.UNDER_WAY)
        .group_by(table.c.collection_uid)
    )
    return {uid: (built, lacking) for uid, built, lacking in await connection.execute(statement)}


async def beside(
    connection: AsyncConnection, views: Sequence[CollectionView]
) -> list[CollectionView]:
    """The same views, each with the reindex that is under way."""
    found = await all_under_way(connection, [view.collection.uid for view in views])
    counted = await counts(connection, list(found)) if found else {}
    return [
        replace(view, reindex=ReindexView(reindex, *counted.get(view.collection.uid, (0, 0))))
        if (reindex := found.get(view.collection.uid))
        else view
        for view in views
    ]


async def strays(connection: AsyncConnection, uid: str, reindex: Reindex) -> int:
    """Documents that the shadow has and the collection has not."""
    statement = sa.select(sa.func.count()).where(
        chunk_set_table.c.index_id == reindex.index.id,
        chunk_set_table.c.state == ChunkSetState.LIVE,
        ~sa.exists().where(
            document_table.c.collection_uid == uid,
            document_table.c.document_id == chunk_set_table.c.document_id,
        ),
    )
    return int((await connection.execute(statement)).scalar_one())


async def swap(connection: AsyncConnection, collection: Collection, reindex: Reindex) -> None:
    """Make the shadow index the one that serves. The old one stays until its searches are over."""
    chunk_count = (
        sa.select(chunk_set_table.c.chunk_count)
        .where(
            chunk_set_table.c.index_id == reindex.index.id,
            chunk_set_table.c.document_id == document_table.c.document_id,
            chunk_set_table.c.state == ChunkSetState.LIVE,
        )
        .scalar_subquery()
    )
    await connection.execute(
        document_table.update()
        .where(document_table.c.collection_uid == collection.uid)
        .values(chunk_count=chunk_count)
    )
    new: dict[str, object] = {"index_id": reindex.index.id}
    if collection.index.config.embedding != reindex.index.config.embedding:
        new["calibration"] = None  # it was measured with the vectors of the old model
    await connection.execute(
        collection_table.update().where(collection_table.c.uid == collection.uid).values(new)
    )
    # Later than whatever was committed: a search knows from it what it may have missed.
    await collections.touch(connection, collection.uid)
    await _set_index(connection, reindex.index.id, IndexState.SERVING)
    await _set_index(connection, collection.index.id, IndexState.REPLACED)
    await _finish(connection, reindex, ReindexState.COMMITTED)


async def abandon(connection: AsyncConnection, reindex: Reindex) -> None:
    """Leave the shadow index to the sweep."""
    await chunk_sets.remove_index(connection, reindex.index.id)
    await _set_index(connection, reindex.index.id, IndexState.RETIRED)
    await _finish(connection, reindex, ReindexState.ABANDONED)


async def _set_index(connection: AsyncConnection, index_id: str, state: IndexState) -> None:
    await connection.execute(
        index_table.update()
        .where(index_table.c.id == index_id)
        .values(state=state, since=times.now())
    )


async def _finish(connection: AsyncConnection, reindex: Reindex, state: ReindexState) -> None:
    await connection.execute(table.update().where(table.c.id == reindex.id).values(state=state))
