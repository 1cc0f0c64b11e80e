"""Rows of chunk sets and of texts: which versions are being written, are live, or are garbage."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh_retriever.catalog import times
from groundmesh_retriever.catalog.tables import ChunkSetState, chunk_sets, documents, texts
from groundmesh_retriever.model import Collection

_INSERT: Mapping[str, Callable[[sa.Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


@dataclass(frozen=True)
class RetiredChunkSet:
    """Chunks that are to be deleted from the vector store."""

    version: str
    index_id: str
    chunk_count: int
    text_sha256: str


async def begin(
    connection: AsyncConnection,
    collection: Collection,
    *,
    version: str,
    document_id: str,
    text_sha256: str,
    chunk_count: int = 0,
) -> None:
    """Note a version that is about to be written; from now on its text is kept."""
    await _register_text(connection, text_sha256)
    await connection.execute(
        chunk_sets.insert().values(
            version=version,
            index_id=collection.index.id,
            collection_uid=collection.uid,
            document_id=document_id,
            text_sha256=text_sha256,
            chunk_count=chunk_count,
            state=ChunkSetState.PENDING,
            since=times.now(),
        )
    )


async def reserve(connection: AsyncConnection, version: str, chunk_count: int) -> bool:
    """Note that a pending version will have that many chunks; False when it is no longer ours."""
    result = await connection.execute(
        chunk_sets.update()
        .where(_pending(version))
        .values(chunk_count=chunk_count, since=times.now())
    )
    return bool(result.rowcount)


async def make_live(connection: AsyncConnection, version: str) -> bool:
    """Make a pending version the live one; False when it is no longer ours."""
    result = await connection.execute(
        chunk_sets.update()
        .where(_pending(version))
        .values(state=ChunkSetState.LIVE, since=times.now())
    )
    return bool(result.rowcount)


async def retire(connection: AsyncConnection, version: str) -> None:
    """Leave a version to the sweep."""
    await connection.execute(
        chunk_sets.update()
        .where(chunk_sets.c.version == version)
        .values(state=ChunkSetState.RETIRED, since=times.now())
    )


async def remove_collection(connection: AsyncConnection, uid: str) -> None:
    """Forget every version of a collection; its indexes are dropped whole."""
    await connection.execute(chunk_sets.delete().where(chunk_sets.c.collection_uid == uid))


async def retire_abandoned(connection: AsyncConnection, *, before: int) -> None:
    """Leave to the sweep what was last written before that moment: its writer is gone."""
    await connection.execute(
        chunk_sets.update()
        .where(chunk_sets.c.state == ChunkSetState.PENDING, chunk_sets.c.since < before)
        .values(state=ChunkSetState.RETIRED, since=times.now())
    )


async def retired(
    connection: AsyncConnection, *, limit: int, document: tuple[str, str] | None = None
) -> list[RetiredChunkSet]:
    """Some versions that are to be deleted; of one (collection uid, document id), if given."""
    statement = sa.select(
        chunk_sets.c.version,
        chunk_sets.c.index_id,
        chunk_sets.c.chunk_count,
        chunk_sets.c.text_sha256,
    ).where(chunk_sets.c.state == ChunkSetState.RETIRED)
    if document is not None:
        statement = statement.where(
            chunk_sets.c.collection_uid == document[0], chunk_sets.c.document_id == document[1]
        )
    rows = await connection.execute(statement.order_by(chunk_sets.c.since).limit(limit))
    return [RetiredChunkSet(*row) for row in rows]


async def forget(connection: AsyncConnection, version: str) -> None:
    """Remove the row of a version that the vector store no longer has."""
    await connection.execute(chunk_sets.delete().where(chunk_sets.c.version == version))


async def unreferenced_texts(connection: AsyncConnection, *, limit: int) -> Sequence[str]:
    """Some texts that no document and no version needs."""
    statement = sa.select(texts.c.sha256).where(_unreferenced()).limit(limit)
    return (await connection.execute(statement)).scalars().all()


async def lock_unreferenced_text(connection: AsyncConnection, sha256: str) -> bool:
    """Whether a text is still needed by nobody, nor can be until the transaction ends."""
    row = sa.select(texts.c.sha256).where(texts.c.sha256 == sha256)
    if (await connection.execute(row.with_for_update())).first() is None:
        return False
    return (await connection.execute(row.where(_unreferenced()))).first() is not None


async def forget_text(connection: AsyncConnection, sha256: str) -> None:
    """Remove the row of a text that is no longer kept."""
    await connection.execute(texts.delete().where(texts.c.sha256 == sha256))


async def _register_text(connection: AsyncConnection, sha256: str) -> None:
    # Where the row is there, this takes its lock on PostgreSQL: a sweep that is just removing the
    # text ends first, and the writer finds that it has to write the text again.
    insert = _INSERT[connection.dialect.name](texts).values(sha256=sha256)
    await connection.execute(
        insert.on_conflict_do_update(index_elements=["sha256"], set_={"sha256": sha256})
    )


def _pending(version: str) -> sa.ColumnElement[bool]:
    return sa.and_(chunk_sets.c.version == version, chunk_sets.c.state == ChunkSetState.PENDING)


def _unreferenced() -> sa.ColumnElement[bool]:
    # RETIRED versions need no text; LIVE ones have a document.
    return sa.and_(
        ~sa.exists().where(documents.c.text_sha256 == texts.c.sha256),
        ~sa.exists().where(
            chunk_sets.c.text_sha256 == texts.c.sha256,
            chunk_sets.c.state == ChunkSetState.PENDING,
        ),
    )
