"""A search while documents are replaced: of each it sees one version, whole, never none or two.

The fake store lets things happen between the moment in which it looks and the moment in which its
answer arrives: where a search over a catalog and a store that share no transaction can go wrong.
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh_retriever.core import Retriever
from groundmesh_retriever.query import Mode
from groundmesh_retriever.reindexing import IndexChange
from groundmesh_retriever.stores.base import Freshness
from groundmesh_retriever.upload import Upload
from groundmesh_retriever.uploads import ShadowRef
from tests.fakes.vector_store import FakeVectorStore
from tests.unit.retriever.core_calls import (
    ME,
    MODEL,
    NAME,
    begun,
    core_over,
    delete,
    leaning,
    search,
    spans_of,
    write,
)

MODES = (Mode.DENSE, Mode.SPARSE, Mode.HYBRID)
CHUNKS = 4


@pytest.fixture
def store() -> FakeVectorStore:
    return FakeVectorStore()


@pytest.fixture
async def retriever(tmp_path: Path, store: FakeVectorStore) -> AsyncIterator[Retriever]:
    async with core_over(store, tmp_path) as made:
        yield made


def lines(uri: str, version: int) -> list[str]:
    return [f"cat {uri} {version} {n}" for n in range(CHUNKS)]


async def half(upload: Upload, of: list[str], which: int) -> None:
    """The first or the second half of a document's chunks."""
    ordinals = slice(CHUNKS // 2) if which == 0 else slice(CHUNKS // 2, CHUNKS)
    spans = spans_of(of)[ordinals]
    await upload.add_chunks(spans, np.stack([leaning(0.1)] * len(spans)))


async def found(retriever: Retriever, mode: Mode) -> dict[str, list[str]]:
    """The chunks of each document that a search finds."""
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for hit in (await search(retriever, mode=mode, text="cat", limit=100)).found:
        texts[hit.document.uri].append(hit.chunk.text)
    return {uri: sorted(chunks) for uri, chunks in texts.items()}


async def reindexed(retriever: Retriever) -> str:
    """The id of a reindex that is built, and not committed."""
    reindex = (await retriever.reindexes.begin(ME, NAME, IndexChange(), request_id="")).reindex
    target = ShadowRef(reindex.id, MODEL)
    missing, _ = await retriever.unbuilt.page(ME, NAME, reindex.id, page_size=9, page_token="")
    for document in missing:
        source = await retriever.unbuilt.read(ME, document.name)
        upload = await retriever.uploads.begin_shadow(ME, document.name, source.version, target)
        spans = spans_of(source.text.decode().split("\n"))
        await upload.add_chunks(spans, np.stack([leaning(0.0)] * len(spans)), shadow=True)
        await upload.commit(0, len(spans))
    return reindex.id


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("swept", [False, True])
async def test_a_replacement_between_the_store_s_look_and_the_catalog_s(
    retriever: Retriever, store: FakeVectorStore, mode: Mode, swept: bool
) -> None:
    await write(retriever, "a", lines("a", 1), 0.0)

    async def replace() -> None:
        store.after_search.clear()
        await write(retriever, "a", lines("a", 2), 0.0)
        if swept:
            await retriever.sweeper.sweep()

    store.after_search.append(replace)
    assert await found(retriever, mode) == {"a": lines("a", 2)}


async def test_a_version_that_was_half_written_when_the_store_looked(
    retriever: Retriever, store: FakeVectorStore
) -> None:
    new = {uri: await begun(retriever, uri, lines(uri, 2)) for uri in ("a", "b")}
    await write(retriever, "a", lines("a", 1), 0.0)
    for uri, upload in new.items():
        await half(upload, lines(uri, 2), 0)

    async def finish() -> None:
        store.after_search.clear()
        for uri, upload in new.items():
            await half(upload, lines(uri, 2), 1)
            await upload.commit(CHUNKS)

    store.after_search.append(finish)
    seen = await found(retriever, Mode.DENSE)
    assert seen["a"] == lines("a", 2)
    assert seen.get("b") in (None, lines("b", 2))


async def test_a_document_that_is_replaced_with_every_look_is_found_all_the_same(
    retriever: Retriever, store: FakeVectorStore
) -> None:
    await write(retriever, "a", lines("a", 1), 0.0)
    writes: list[asyncio.Task[None]] = []

    async def replace() -> None:
        writes.append(asyncio.create_task(write(retriever, "a", lines("a", len(writes) + 2), 0.0)))
        await asyncio.wait(writes, timeout=0.5)  # a search that writers wait for must not wait

    store.after_search.append(replace)
    seen = await found(retriever, Mode.DENSE)
    store.after_search.clear()
    await asyncio.gather(*writes)
    assert seen["a"] in [lines("a", number + 1) for number in range(len(writes) + 1)]


@pytest.mark.parametrize("mode", MODES)
async def test_a_reindex_that_is_committed_between_the_looks(
    retriever: Retriever, store: FakeVectorStore, mode: Mode
) -> None:
    for uri in ("a", "b"):
        await write(retriever, uri, lines(uri, 1), 0.0)
    reindex_id = await reindexed(retriever)

    async def swap() -> None:
        store.after_search.clear()
        await retriever.reindexes.commit(ME, NAME, reindex_id)

    store.after_search.append(swap)
    assert await found(retriever, mode) == {uri: lines(uri, 1) for uri in ("a", "b")}
    assert len(store.indexes) == 2  # the replaced one, with chunks that the catalog calls live


async def test_what_a_swap_brought_is_seen_at_once(retriever: Retriever) -> None:
    await write(retriever, "a", lines("a", 1), 0.0)
    assert (await search(retriever)).freshness is Freshness.SESSION
    await retriever.reindexes.commit(ME, NAME, await reindexed(retriever))
    assert (await search(retriever)).freshness is Freshness.STRONG


URIS = ("a", "b", "c")
ACTIONS = st.tuples(
    st.sampled_from(["begin", "go on", "commit", "delete", "sweep"]), st.sampled_from(URIS)
)


@dataclass
class World:
    """What happens while a search is under way, and which versions it may see."""

    retriever: Retriever
    script: list[list[tuple[str, str]]]
    version: int = 1
    uploads: dict[str, tuple[Upload, int, int]] = field(default_factory=dict)
    """By URI: the write under way, its version, and the halves that are written."""
    allowed: dict[str, list[int | None]] = field(default_factory=dict)
    """By URI: every version that was live since the search began."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def happen(self) -> None:
        async with self.turn:  # a hybrid search looks twice at once
            for action, uri in self.script.pop(0) if self.script else []:
                await getattr(self, action.replace(" ", "_"))(uri)

    async def begin(self, uri: str) -> None:
        if uri not in self.uploads:
            self.version += 1
            upload = await begun(self.retriever, uri, lines(uri, self.version))
            self.uploads[uri] = (upload, self.version, 0)

    async def go_on(self, uri: str) -> None:
        upload, version, halves = self.uploads.get(uri, (None, 0, 2))
        if upload is not None and halves < 2:
            await half(upload, lines(uri, version), halves)
            self.uploads[uri] = (upload, version, halves + 1)

    async def commit(self, uri: str) -> None:
        for _ in range(3):
            await self.begin(uri)
            await self.go_on(uri)
        upload, version, _ = self.uploads.pop(uri)
        await upload.commit(CHUNKS)
        self.allowed[uri].append(version)

    async def delete(self, uri: str) -> None:
        if self.allowed[uri][-1] is not None:
            await delete(self.retriever, uri)
            self.allowed[uri].append(None)

    async def sweep(self, _uri: str) -> None:
        await self.retriever.sweeper.sweep()


@settings(max_examples=25, deadline=None)
@given(
    script=st.lists(st.lists(ACTIONS, max_size=6), max_size=4),  # then no writer is let in
    before=st.lists(ACTIONS, max_size=4),
    mode=st.sampled_from(MODES),
)
def test_whatever_happens_meanwhile_each_document_is_seen_once_and_whole(
    script: list[list[tuple[str, str]]], before: list[tuple[str, str]], mode: Mode
) -> None:
    asyncio.run(_check_once_and_whole(script, before, mode))


async def _check_once_and_whole(
    script: list[list[tuple[str, str]]], before: list[tuple[str, str]], mode: Mode
) -> None:
    store = FakeVectorStore()
    with tempfile.TemporaryDirectory() as folder:
        async with core_over(store, Path(folder)) as retriever:
            world = World(retriever, [before, *script])
            for uri in URIS:
                await write(retriever, uri, lines(uri, 1), 0.0)
                world.allowed[uri] = [1]
            await world.happen()
            world.allowed = {uri: versions[-1:] for uri, versions in world.allowed.items()}
            store.after_search.append(world.happen)
            seen = await found(retriever, mode)
            for uri in URIS:
                states = [None if v is None else lines(uri, v) for v in world.allowed[uri]]
                assert seen.get(uri) in states, (uri, seen.get(uri), world.allowed)
