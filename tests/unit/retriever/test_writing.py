"""Writes that are given up, purged or raced: nothing is lost, nothing is left behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from groundmesh.errors import Aborted, Unavailable
from groundmesh.names import DocumentName, document_id
from groundmesh_retriever.catalog import tables
from groundmesh_retriever.core import Retriever
from groundmesh_retriever.stores.base import ChunkWrite, Vectors
from groundmesh_retriever.upload import Upload
from tests.fakes.vector_store import FakeVectorStore
from tests.unit.retriever.core_calls import (
    ME,
    NAME,
    begun,
    core_over,
    delete,
    leaning,
    search,
    spans_of,
    uris,
    write,
)
from tests.waiting import until

LINES = ["cat one", "cat two"]


@dataclass
class LateStore(FakeVectorStore):
    """Does what it was asked to even when the caller has left meanwhile, as a server does."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    done: int = 0

    async def upsert(self, index: str, writes: Sequence[ChunkWrite], vectors: Vectors) -> None:
        self.asked += 1
        await asyncio.shield(asyncio.ensure_future(self._upsert(index, writes, vectors)))

    async def _upsert(self, index: str, writes: Sequence[ChunkWrite], vectors: Vectors) -> None:
        await self.open.wait()
        await super().upsert(index, writes, vectors)
        self.done += 1


@pytest.fixture
def store() -> LateStore:
    made = LateStore()
    made.open.set()
    return made


@pytest.fixture
async def retriever(tmp_path: Path, store: LateStore) -> AsyncIterator[Retriever]:
    async with core_over(store, tmp_path) as made:
        yield made


async def add_chunks(upload: Upload) -> None:
    await upload.add_chunks(spans_of(LINES), np.stack([leaning(0.1)] * len(LINES)))


def chunks_in(store: FakeVectorStore) -> int:
    return sum(len(rows) for rows in store.indexes.values())


def texts_in(folder: Path) -> list[Path]:
    return [path for path in (folder / "texts").rglob("*") if path.is_file()]


async def rows_in(retriever: Retriever) -> int:
    """Rows of the catalog that say something of a document."""
    of = (tables.documents, tables.readers, tables.chunk_sets, tables.texts)
    async with retriever.database.reading() as connection:
        counts = [await connection.scalar(sa.select(sa.func.count()).select_from(t)) for t in of]
    return sum(count or 0 for count in counts)


async def purge(retriever: Retriever, uri: str) -> None:
    await retriever.documents.delete(
        ME, DocumentName(NAME.tenant, NAME.collection, document_id(uri)), purge=True
    )


async def test_a_writer_who_never_heard_of_its_commit_gives_up_nothing(
    retriever: Retriever,
) -> None:
    await write(retriever, "a", ["cat old"], 0.0)
    upload = await begun(retriever, "a", LINES)
    await add_chunks(upload)
    await upload.commit(len(LINES))
    await upload.abandon()  # the caller left, or the catalog was slow, in that very moment
    await retriever.sweeper.sweep()
    assert uris(await search(retriever)) == ["a", "a"]


async def test_chunks_that_arrive_after_their_writer_has_left_are_swept(
    retriever: Retriever, store: LateStore
) -> None:
    store.open.clear()
    upload = await begun(retriever, "a", LINES)
    writing = asyncio.create_task(add_chunks(upload))
    await until(lambda: store.asked)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    giving_up = asyncio.create_task(upload.abandon())
    await asyncio.sleep(0.05)
    await retriever.sweeper.sweep()
    store.open.set()
    await until(lambda: store.done)
    await giving_up
    await retriever.sweeper.sweep()
    assert chunks_in(store) == 0
    assert await rows_in(retriever) == 0


async def test_a_write_of_unknown_outcome_is_swept_only_when_it_is_surely_over(
    retriever: Retriever, store: LateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise Unavailable("no answer")

    upload = await begun(retriever, "a", LINES)
    with monkeypatch.context() as patch:
        patch.setattr(store, "upsert", lost)
        with pytest.raises(Unavailable):
            await add_chunks(upload)
    await upload.abandon()
    await retriever.sweeper.sweep()
    assert await rows_in(retriever) > 0  # the store may do it yet
    retriever.sweeper.min_age_s = 0.0
    await retriever.sweeper.sweep()
    assert await rows_in(retriever) == 0


async def test_a_purge_leaves_no_trace_of_a_write_that_was_left_behind(
    retriever: Retriever, store: LateStore, tmp_path: Path
) -> None:
    await write(retriever, "a", ["cat old"], 0.0)
    await add_chunks(await begun(retriever, "a", LINES))  # whose process was killed then
    await purge(retriever, "a")
    assert (chunks_in(store), texts_in(tmp_path), await rows_in(retriever)) == (0, [], 0)


async def test_a_write_that_a_purge_cut_off_leaves_no_trace(
    retriever: Retriever, store: LateStore, tmp_path: Path
) -> None:
    await write(retriever, "a", ["cat old"], 0.0)
    store.open.clear()
    upload = await begun(retriever, "a", LINES)
    writing = asyncio.create_task(add_chunks(upload))
    await until(lambda: store.asked == 2)
    await purge(retriever, "a")
    store.open.set()
    await writing
    with pytest.raises(Aborted):
        await upload.commit(len(LINES))
    await upload.abandon()
    await retriever.sweeper.sweep()
    assert (chunks_in(store), texts_in(tmp_path), await rows_in(retriever)) == (0, [], 0)


async def test_a_purge_keeps_a_text_that_another_document_has(
    retriever: Retriever, tmp_path: Path
) -> None:
    await write(retriever, "a", LINES, 0.0)
    await write(retriever, "b", LINES, 0.0)
    await purge(retriever, "a")
    name = DocumentName(NAME.tenant, NAME.collection, document_id("b"))
    text = await retriever.documents.text(ME, name, start=0, end=0)
    assert text.data == "\n".join(LINES).encode()
    assert uris(await search(retriever)) == ["b", "b"]
    await purge(retriever, "b")
    assert texts_in(tmp_path) == []


async def test_a_text_that_is_replaced_while_it_is_read_is_the_new_one(
    retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(retriever, "a", ["cat old"], 0.0)
    read = retriever.documents._parts.texts.read

    async def replaced_before(sha256: str, start: int, end: int) -> bytes:
        monkeypatch.undo()
        await write(retriever, "a", ["cat new"], 0.0)
        await retriever.sweeper.sweep()
        return await read(sha256, start, end)

    monkeypatch.setattr(retriever.documents._parts.texts, "read", replaced_before)
    name = DocumentName(NAME.tenant, NAME.collection, document_id("a"))
    assert (await retriever.documents.text(ME, name, start=0, end=0)).data == b"cat new"


async def test_deleting_and_writing_again_ends_with_one_version(
    retriever: Retriever, store: LateStore
) -> None:
    for _ in range(3):
        await write(retriever, "a", LINES, 0.0)
        await delete(retriever, "a")
    await write(retriever, "a", LINES, 0.0)
    await retriever.sweeper.sweep()
    assert chunks_in(store) == len(LINES)
