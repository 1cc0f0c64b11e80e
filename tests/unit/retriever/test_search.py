"""Search over the fake store: what is dead is left out, and what fell out is filled in."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundmesh.errors import FailedPrecondition, NotFound, Reason, Unavailable
from groundmesh.identity import Principal
from groundmesh.names import CollectionName
from groundmesh_retriever.core import Retriever, RetrieverOptions
from groundmesh_retriever.fusion import ByRanks, ByScores
from groundmesh_retriever.model import (
    ChunkSpan,
    DocumentDraft,
    EmbeddingModel,
    IndexConfig,
    Place,
    Splitting,
)
from groundmesh_retriever.parts import ModelRef
from groundmesh_retriever.query import Mode, Query, Result
from groundmesh_retriever.stores.base import Vectors
from groundmesh_retriever.uploads import Made
from tests.fakes.vector_store import FakeVectorStore

NAME = CollectionName("default", "docs")
ME = Principal.local()
MODEL = ModelRef("m", "r")
CONFIG = IndexConfig(EmbeddingModel("m", "r", 2, 64), Splitting(64, 8, "s"), "en")


@pytest.fixture
def store() -> FakeVectorStore:
    return FakeVectorStore()


@asynccontextmanager
async def replica(folder: Path, store: FakeVectorStore) -> AsyncIterator[Retriever]:
    options = RetrieverOptions(
        catalog_url=f"sqlite+aiosqlite:///{folder / 'c.db'}",
        artifact_url=folder.as_uri(),
        folder=folder,
    )
    made = Retriever(store, options, engine="fake")
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def retriever(tmp_path: Path, store: FakeVectorStore) -> AsyncIterator[Retriever]:
    async with replica(tmp_path, store) as made:
        await made.collections.create(NAME, "", CONFIG)
        yield made


@pytest.fixture
async def other(
    tmp_path: Path, store: FakeVectorStore, retriever: Retriever
) -> AsyncIterator[Retriever]:
    """Another replica over the same stores, started after the first."""
    async with replica(tmp_path, store) as made:
        yield made


def leaning(by: float) -> Vectors:
    return np.array([1.0, by], dtype=np.float32)


async def write(
    retriever: Retriever, uri: str, lines: list[str], lean: float, **changes: CollectionName
) -> None:
    text = "\n".join(lines).encode()
    sha256 = hashlib.sha256(text).hexdigest()
    draft = DocumentDraft(uri, uri, "text/plain", sha256, len(text), (), {})
    upload = await retriever.uploads.begin(ME, changes.get("to", NAME), draft, Made(MODEL))
    await upload.add_text(text)
    spans, at = [], 0
    for ordinal, line in enumerate(lines):
        spans.append(ChunkSpan(ordinal, at, at + len(line), 1, Place()))
        at += len(line) + 1
    await upload.add_chunks(spans, np.stack([leaning(lean + n / 1_000) for n in range(len(lines))]))
    await upload.commit(len(lines))


async def search(retriever: Retriever, **changes: object) -> Result:
    fields: dict[str, object] = {
        "mode": Mode.DENSE,
        "text": "",
        "vector": leaning(0.0),
        "model": ModelRef("", ""),
        "limit": 10,
        "max_chunks_per_document": 0,
    }
    names = changes.pop("names", [NAME])
    query = Query(**{**fields, **changes})  # type: ignore[arg-type]
    return await retriever.searches.search(ME, names, query)  # type: ignore[arg-type]


def uris(result: Result) -> list[str]:
    return [found.document.uri for found in result.found]


def forget_deletes(store: FakeVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that keeps what it should delete: as after a kill, or before a sweep."""

    async def nothing(index: str, keys: list[str]) -> None:
        return None

    monkeypatch.setattr(store, "delete", nothing)


async def test_dead_chunks_that_rank_first_are_replaced_by_live_ones(
    retriever: Retriever, store: FakeVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_deletes(store, monkeypatch)
    for number in range(5):
        await write(retriever, "near", [f"old {number} {n}" for n in range(10)], 0.0)
    await write(retriever, "near", ["new"], 0.0)
    await write(retriever, "far", [f"far {n}" for n in range(20)], 1.0)
    result = await search(retriever, limit=15)
    assert uris(result) == ["near"] + ["far"] * 14
    assert store.searches > 1


async def test_ranks_of_a_fusion_don_t_count_the_dead(
    retriever: Retriever, store: FakeVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_deletes(store, monkeypatch)
    await write(retriever, "it", ["cat one", "cat two"], 0.0)
    await write(retriever, "it", ["cat three"], 0.0)
    result = await search(retriever, mode=Mode.HYBRID, text="cats", fusion=ByRanks())
    assert [found.score for found in result.found] == [pytest.approx(2 / 61)]


async def test_at_most_n_chunks_of_a_document_even_far_down(retriever: Retriever) -> None:
    await write(retriever, "long", [f"long {n}" for n in range(300)], 0.0)
    for number in range(4):
        await write(retriever, f"short {number}", ["short"], 1.0 + number)
    result = await search(retriever, limit=6, max_chunks_per_document=2)
    assert uris(result) == ["long", "long", "short 0", "short 1", "short 2", "short 3"]


async def test_a_search_ends_when_there_is_no_more(
    retriever: Retriever, store: FakeVectorStore
) -> None:
    await write(retriever, "only", ["a", "b"], 0.0)
    assert len((await search(retriever, limit=1_000)).found) == 2
    assert store.searches == 1


async def test_sparse_without_terms_finds_nothing_and_says_why(
    retriever: Retriever, store: FakeVectorStore
) -> None:
    await write(retriever, "it", ["the cat"], 0.0)
    result = await search(retriever, mode=Mode.SPARSE, text="the")
    assert result.found == []
    assert len(result.degraded) == 1
    assert store.searches == 0


async def test_scores_of_each_kind_are_told(retriever: Retriever) -> None:
    await write(retriever, "it", ["cat", "dog"], 0.0)
    cat, dog = (await search(retriever, mode=Mode.HYBRID, text="cat")).found
    assert cat.dense_score == pytest.approx(1.0)
    assert cat.sparse_score is not None
    assert dog.sparse_score is None
    assert dog.dense_score is not None


async def test_an_index_that_the_store_has_lost(
    retriever: Retriever, store: FakeVectorStore
) -> None:
    store.indexes.clear()
    with pytest.raises(Unavailable, match="reindex it"):
        await search(retriever)
    await retriever.collections.delete(NAME)
    with pytest.raises(NotFound):
        await search(retriever)


async def test_a_store_that_is_away_kills_nobody(
    retriever: Retriever, store: FakeVectorStore
) -> None:
    store.away = True
    with pytest.raises(Unavailable):
        await search(retriever)
    await retriever.check()
    store.away = False
    await search(retriever)


async def test_weights_decide_between_meaning_and_words(retriever: Retriever) -> None:
    await write(retriever, "near", ["bird"], 0.0)
    await write(retriever, "between", ["fish"], 0.5)
    await write(retriever, "named", ["cat"], 2.0)
    for weight, best in ((1.0, "near"), (0.0, "named")):
        fusion = ByScores(weight)
        result = await search(retriever, mode=Mode.HYBRID, text="cat", fusion=fusion)
        assert uris(result)[0] == best
        assert result.found[0].score == pytest.approx(1.0)
    steep = await search(retriever, mode=Mode.HYBRID, text="cat", fusion=ByRanks(1))
    assert steep.found[0].score == pytest.approx(1 / 2 + 1 / 4)


@pytest.mark.parametrize("mode", [Mode.DENSE, Mode.HYBRID])
async def test_vectors_come_with_the_chunks_that_they_are_of(
    retriever: Retriever, mode: Mode
) -> None:
    await write(retriever, "it", [f"cat {n}" for n in range(9)], 0.0)
    without = await search(retriever, mode=mode, text="cat", limit=4)
    assert all(found.vector is None for found in without.found)
    result = await search(retriever, mode=mode, text="cat", limit=4, with_vectors=True)
    assert [found.chunk for found in result.found] == [found.chunk for found in without.found]
    for found in result.found:
        expected = leaning(found.chunk.span.ordinal / 1_000)
        assert found.vector == pytest.approx(expected)


MORE = [CollectionName("default", f"more-{n}") for n in range(3)]


async def test_several_collections_are_merged_by_rank(retriever: Retriever) -> None:
    for number, name in enumerate(MORE):
        await retriever.collections.create(name, "", CONFIG)
        await write(retriever, f"a{number}", ["x", "y"], 0.1 * number, to=name)
        await write(retriever, f"b{number}", ["z"], 1.0 + number, to=name)
    result = await search(retriever, names=MORE, limit=5, max_chunks_per_document=1)
    assert uris(result) == ["a0", "a1", "a2", "b0", "b1"]
    scores = [found.score for found in result.found]
    assert scores == pytest.approx([1 / 61] * 3 + [1 / 62] * 2)
    names = [found.document.name.parent for found in result.found]
    assert names == [MORE[0], MORE[1], MORE[2], MORE[0], MORE[1]]


async def test_collections_of_another_model_are_named(retriever: Retriever) -> None:
    embedding = replace(CONFIG.embedding, revision="r2")
    for name, config in ((MORE[0], CONFIG), (MORE[1], replace(CONFIG, embedding=embedding))):
        await retriever.collections.create(name, "", config)
    with pytest.raises(FailedPrecondition, match=str(MORE[1])) as caught:
        await search(retriever, names=[NAME, *MORE[:2]])
    assert caught.value.reason is Reason.MODEL_MISMATCH
    assert str(MORE[0]) not in caught.value.message
    with pytest.raises(NotFound, match=str(MORE[2])):
        await search(retriever, names=[NAME, MORE[2]])


async def test_another_replica_deletes_what_this_one_knows(
    retriever: Retriever, other: Retriever
) -> None:
    await write(retriever, "it", ["old"], 0.0)
    assert uris(await search(other)) == ["it"]
    await retriever.collections.delete(NAME)
    with pytest.raises(NotFound):
        await search(other)


async def test_another_replica_makes_a_collection_anew(
    retriever: Retriever, other: Retriever
) -> None:
    await write(retriever, "old", ["old"], 0.0)
    assert uris(await search(other)) == ["old"]
    await retriever.collections.delete(NAME)
    wider = replace(CONFIG, embedding=replace(CONFIG.embedding, revision="r2", dimension=3))
    await retriever.collections.create(NAME, "", wider)
    vector = np.array([1.0, 0.0, 0.0], dtype=np.float32)
    asked = {"vector": vector, "model": ModelRef("m", "r2")}
    assert uris(await search(other, **asked)) == []


async def test_a_chunk_that_is_replaced_while_it_is_found_is_found_as_it_is_now(
    retriever: Retriever, store: FakeVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(retriever, "it", ["cat old"], 0.0)
    get = store.get

    async def late(index: str, keys: list[str], **asked: object) -> object:
        monkeypatch.setattr(store, "get", get)
        store.indexes[index].clear()  # swept
        await write(retriever, "it", ["cat new"], 0.0)
        return await get(index, keys, **asked)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "get", late)
    result = await search(retriever, mode=Mode.HYBRID, text="cat")
    assert [found.chunk.text for found in result.found] == ["cat new"]
