"""A process killed between any two steps of a reindex: the next goes on, and it ends exact."""

import copy
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.errors import FailedPrecondition
from groundmesh.identity import Principal
from groundmesh.names import CollectionName, DocumentName, document_id
from groundmesh_retriever import core
from groundmesh_retriever.catalog.database import Database
from groundmesh_retriever.core import Retriever, RetrieverOptions
from groundmesh_retriever.model import (
    ChunkSpan,
    DocumentDraft,
    EmbeddingModel,
    IndexConfig,
    Place,
    Splitting,
)
from groundmesh_retriever.parts import ModelRef
from groundmesh_retriever.reindexing import IndexChange
from groundmesh_retriever.stores.base import ChunkWrite, IndexSpec, Vectors
from groundmesh_retriever.sweep import Sweeper
from groundmesh_retriever.uploads import Made, ShadowRef
from tests.fakes.vector_store import FakeVectorStore

T = TypeVar("T")

NAME = CollectionName("default", "docs")
ME = Principal.local()
MODEL, OTHER = ModelRef("m", "r"), ModelRef("m2", "r2")
CONFIG = IndexConfig(EmbeddingModel("m", "r", 2, 64), Splitting(64, 8, "s"), "en")
CHANGE = IndexChange(embedding=EmbeddingModel("m2", "r2", 3, 64), max_tokens=32, language="de")
URIS = ("a", "b", "c")
LINES = 4


class Killed(Exception):
    """The process is no more."""


class Fuse:
    """Lets so many steps happen, and then none."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


class MortalStore(FakeVectorStore):
    """Dies before or after what it is asked to change."""

    fuse: Fuse

    async def create_index(self, spec: IndexSpec) -> None:
        self.fuse.step()
        await super().create_index(spec)
        self.fuse.step()

    async def drop_index(self, index: str) -> None:
        self.fuse.step()
        await super().drop_index(index)
        self.fuse.step()

    async def upsert(self, index: str, writes: Sequence[ChunkWrite], vectors: Vectors) -> None:
        self.fuse.step()
        await super().upsert(index, writes, vectors)
        self.fuse.step()

    async def delete(self, index: str, keys: Sequence[str]) -> None:
        self.fuse.step()
        await super().delete(index, keys)
        self.fuse.step()


class MortalDatabase(Database):
    """Dies before or after the commit of a transaction."""

    fuse: Fuse

    @asynccontextmanager
    async def writing(self, *, timeout_s: float | None = None) -> AsyncIterator[AsyncConnection]:
        async with super().writing(timeout_s=timeout_s) as connection:
            yield connection
            self.fuse.step()
        self.fuse.step()

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async def mortal(connection: AsyncConnection) -> T:
            done = await work(connection)
            self.fuse.step()
            return done

        done = await super().write(mortal)
        self.fuse.step()
        return done


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sweep but those of the test, so that every run takes the same steps."""

    async def never(sweeper: Sweeper) -> None:
        return None

    async def check(_retriever: Retriever) -> None:
        return None

    monkeypatch.setattr(Sweeper, "run", never)
    monkeypatch.setattr(Retriever, "check", check)
    monkeypatch.setattr(core, "Database", MortalDatabase)


@asynccontextmanager
async def process(folder: Path, store: MortalStore, fuse: Fuse) -> AsyncIterator[Retriever]:
    """A retriever that lives as long as the fuse."""
    store.fuse = MortalDatabase.fuse = Fuse(1_000)
    options = RetrieverOptions(
        catalog_url=f"sqlite+aiosqlite:///{folder / 'c.db'}",
        artifact_url=folder.as_uri(),
        folder=folder,
        sweep_min_age_s=-1.0,
        replaced_index_s=-1.0,
    )
    made = Retriever(store, options, engine="fake")
    await made.start()
    store.fuse = MortalDatabase.fuse = fuse
    try:
        yield made
    finally:
        await made.stop()


def text_of(uri: str) -> bytes:
    return "\n".join(f"{uri} line {n}" for n in range(LINES)).encode()


def spans(text: bytes, lines: int) -> list[ChunkSpan]:
    """So many lines a chunk."""
    width = (len(text) + 1) // LINES
    starts = range(0, len(text), width * lines)
    return [
        ChunkSpan(n, start, min(start + width * lines, len(text) + 1) - 1, 2, Place())
        for n, start in enumerate(starts)
    ]


async def ingest(retriever: Retriever, uri: str) -> None:
    text = text_of(uri)
    draft = DocumentDraft(uri, uri, "text/plain", hashlib.sha256(text).hexdigest(), 1, (), {})
    upload = await retriever.uploads.begin(ME, NAME, draft, Made(MODEL))
    await upload.add_text(text)
    await upload.add_outline(b"an outline")
    await upload.add_chunks(spans(text, 1), np.ones((LINES, 2), dtype=np.float32))
    await upload.commit(LINES)


async def build(retriever: Retriever, reindex_id: str) -> None:
    """What the gateway does, document by document."""
    token, first = "", True
    while token or first:
        first = False
        missing, token = await retriever.unbuilt.page(
            ME, NAME, reindex_id, page_size=1, page_token=token
        )
        for document in missing:
            await build_one(retriever, document.name, reindex_id)


async def build_one(retriever: Retriever, name: DocumentName, reindex_id: str) -> None:
    source = await retriever.unbuilt.read(ME, name)
    assert source.outline == b"an outline"
    target = ShadowRef(reindex_id, OTHER)
    upload = await retriever.uploads.begin_shadow(ME, name, source.version, target)
    new = spans(source.text, 2)
    await upload.add_chunks(new, np.ones((len(new), 3), dtype=np.float32), shadow=True)
    await upload.commit(0, len(new))


async def reindex(retriever: Retriever) -> None:
    """Begin or go on, build, commit and sweep."""
    view = await retriever.collections.get(NAME)
    if view.collection.index.version == 1:
        under_way = view.reindex or await retriever.reindexes.begin(
            ME, NAME, CHANGE, request_id="mine"
        )
        reindex_id = under_way.reindex.id
        await build(retriever, reindex_id)
        with suppress(FailedPrecondition):
            await retriever.reindexes.commit(ME, NAME, reindex_id)
    await retriever.sweeper.sweep()


async def assert_exact(retriever: Retriever, store: MortalStore) -> None:
    """Every document whole, in the new index alone; nothing else anywhere."""
    view = await retriever.collections.get(NAME)
    index = view.collection.index
    assert (index.version, index.config.splitting.max_tokens, index.config.language) == (
        2,
        32,
        "de",
    )
    assert view.reindex is None
    assert (view.document_count, view.chunk_count) == (len(URIS), 2 * len(URIS))
    assert list(store.indexes) == [index.id]
    for uri in URIS:
        name = DocumentName(NAME.tenant, NAME.collection, document_id(uri))
        page = await retriever.documents.chunks(ME, name, page_size=9, page_token="")
        lines = text_of(uri).decode().split("\n")
        assert [chunk.text for chunk in page.chunks] == [
            "\n".join(lines[:2]),
            "\n".join(lines[2:]),
        ]
    assert len(store.indexes[index.id]) == 2 * len(URIS)


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
async def test_whenever_it_is_killed_the_next_process_ends_it(tmp_path: Path, stride: int) -> None:
    first, before = tmp_path / "first", MortalStore()
    async with process(first, before, Fuse(1_000)) as retriever:
        await retriever.collections.create(NAME, "", CONFIG)
        for uri in URIS:
            await ingest(retriever, uri)
    kills = 0
    while True:
        folder, store = tmp_path / str(kills), copy.deepcopy(before)
        shutil.copytree(first, folder)
        try:
            async with process(folder, store, Fuse(kills)) as retriever:
                await reindex(retriever)
            break
        except Killed:
            kills += stride
        async with process(folder, store, Fuse(1_000)) as retriever:
            await reindex(retriever)
            await assert_exact(retriever, store)
        shutil.rmtree(folder)
    assert kills > 30, "it has fewer steps than there are"
