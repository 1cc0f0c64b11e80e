"""Search over the fake store: what is dead is left out, and what fell out is filled in."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from groundmesh.errors import NotFound, Unavailable
from groundmesh.identity import Principal
from groundmesh.names import CollectionName
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
from groundmesh_retriever.search import Mode, Query, Result
from groundmesh_retriever.stores.base import Vectors
from tests.fakes.vector_store import FakeVectorStore

NAME = CollectionName("default", "docs")
ME = Principal.local()
MODEL = ModelRef("m", "r")
CONFIG = IndexConfig(EmbeddingModel("m", "r", 2, 64), Splitting(64, 8, "s"), "en")


@pytest.fixture
def store() -> FakeVectorStore:
    return FakeVectorStore()


@pytest.fixture
async def retriever(tmp_path: Path, store: FakeVectorStore) -> AsyncIterator[Retriever]:
    options = RetrieverOptions(
        catalog_url=f"sqlite+aiosqlite:///{tmp_path / 'c.db'}",
        artifact_url=tmp_path.as_uri(),
        folder=tmp_path,
    )
    made = Retriever(store, options, engine="fake")
    await made.start()
    await made.collections.create(NAME, "", CONFIG)
    yield made
    await made.stop()


def leaning(by: float) -> Vectors:
    return np.array([1.0, by], dtype=np.float32)


async def write(retriever: Retriever, uri: str, lines: list[str], lean: float) -> None:
    text = "\n".join(lines).encode()
    sha256 = hashlib.sha256(text).hexdigest()
    draft = DocumentDraft(uri, uri, "text/plain", sha256, len(text), (), {})
    upload = await retriever.uploads.begin(ME, NAME, draft, MODEL)
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
    return await retriever.searches.search(ME, NAME, Query(**{**fields, **changes}))  # type: ignore[arg-type]


def uris(result: Result) -> list[str]:
    return [found.document.draft.uri for found in result.found]


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
    result = await search(retriever, mode=Mode.HYBRID, text="cats")
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
    with pytest.raises(Unavailable, match="delete the collection and ingest it again"):
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
