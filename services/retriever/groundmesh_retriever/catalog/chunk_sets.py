"""Rows of chunk sets and of texts: which versions are being written, are live, or are garbage."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh_retriever.catalog import times
from groundmesh_retriever.catalog.tables import ChunkSetState, chunk_sets, documents, texts

_INSERT: Mapping[str, Callable[[sa.Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


@dataclass(frozen=True)
class Attempt:
    """An attempt to write a document's chunks into an index."""

    version: str
    index_id: str
    collection_uid: str
    document_id: str
    text_sha256: str


@dataclass(frozen=True)
class RetiredChunkSet:
    """Chunks that are to be deleted from the vector store."""

    version: str
    index_id: str
    chunk_count: int
    text_sha256: str
    since: int


async def begin(connection: AsyncConnection, attempt: Attempt, *, chunk_count: int) -> None:
    """Note a version that is about to be written; from now on its text is kept."""
    await _register_text(connection, attempt.text_sha256)
    pending = _row(attempt, ChunkSetState.PENDING, chunk_count=chunk_count)
    await connection.execute(chunk_sets.insert().values(pending))


async def reserve(connection: AsyncConnection, version: str, chunk_count: int) -> bool:
    """Note that a pending version will have that many chunks; False when it is no longer ours."""
    result = await connection.execute(
        chunk_sets.update()
        .where(_pending(version))
        .values(chunk_count=chunk_count, since=times.now())
    )
    return bool(result.rowcount)


async def is_pending(connection: AsyncConnection, version: str) -> bool:
    """Whether a version is still being written."""
    found = await connection.execute(sa.select(chunk_sets.c.version).where(_pending(version)))
    return found.first() is not None


async def has_live(connection: AsyncConnection, index_id: str, document_id: str) -> bool:
    """Whether a document has something live in an index."""
    statement = sa.select(chunk_sets.c.version).where(
        chunk_sets.c.index_id == index_id,
        chunk_sets.c.document_id == document_id,
        chunk_sets.c.state == ChunkSetState.LIVE,
    )
    return (await connection.execute(statement)).first() is not None


async def make_live(connection: AsyncConnection, version: str, *, moment: int) -> bool:
    """Make a pending version the live one; False when it is no longer ours."""
    result = await connection.execute(
        chunk_sets.update().where(_pending(version)).values(state=ChunkSetState.LIVE, since=moment)
    )
    return bool(result.rowcount)


async def give_up(connection: AsyncConnection, attempt: Attempt, *, chunk_count: int) -> None:
    """Leave to the sweep what was written of a version, unless that is live.

    Also when it was swept before: chunks may have come to the store after that.
    """
    row = _row(attempt, ChunkSetState.RETIRED, chunk_count=chunk_count)
    insert = _INSERT[connection.dialect.name](chunk_sets).values(row)
    again = ("state", "chunk_count", "since")
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["version"],
            set_={name: insert.excluded[name] for name in again},
            where=chunk_sets.c.state != ChunkSetState.LIVE,
        )
    )


async def retire_pending(connection: AsyncConnection, uid: str, document_id: str) -> None:
    """Leave to the sweep what is being written of a document; its writer can't commit any more."""
    await connection.execute(
        chunk_sets.update()
        .where(
            chunk_sets.c.collection_uid == uid,
            chunk_sets.c.document_id == document_id,
            chunk_sets.c.state == ChunkSetState.PENDING,
        )
        .values(state=ChunkSetState.RETIRED, since=times.now())
    )


async def retire_document(connection: AsyncConnection, uid: str, document_id: str) -> None:
    """Leave what is live of a document to the sweep, in every index of its collection."""
    await connection.execute(
        chunk_sets.update()
        .where(
            chunk_sets.c.collection_uid == uid,
            chunk_sets.c.document_id == document_id,
            chunk_sets.c.state == ChunkSetState.LIVE,
        )
        .values(state=ChunkSetState.RETIRED, since=times.now())
    )


async def remove_index(connection: AsyncConnection, index_id: str) -> None:
    """Forget every version in an index, which is dropped whole."""
    await connection.execute(chunk_sets.delete().where(chunk_sets.c.index_id == index_id))


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
        chunk_sets.c.since,
    ).where(chunk_sets.c.state == ChunkSetState.RETIRED)
    if document is not None:
        statement = statement.where(
            chunk_sets.c.collection_uid == document[0], chunk_sets.c.document_id == document[1]
        )
    rows = await connection.execute(statement.order_by(chunk_sets.c.since).limit(limit))
    return [RetiredChunkSet(*row) for row in rows]


async def forget(connection: AsyncConnection, swept: RetiredChunkSet) -> None:
    """Remove the row of a version that the vector store no longer has.

    Not when it was given up since then: its last chunks may have come after the deletion.
    """
    await connection.execute(
        chunk_sets.delete().where(
            chunk_sets.c.version == swept.version, chunk_sets.c.since == swept.since
        )
    )


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


def _row(attempt: Attempt, state: ChunkSetState, *, chunk_count: int) -> dict[str, str | int]:
    return {**asdict(attempt), "chunk_count": chunk_count, "state": state, "since": times.now()}


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
