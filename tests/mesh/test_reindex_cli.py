"""``groundmesh collections reindex`` against real services over a fake vector store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundmesh.v1.collection_pb2 import SplittingConfig
from tests.fakes.embedder_service import POISON
from tests.fakes.vector_store import FakeVectorStore
from tests.mesh.cli import Cli
from tests.mesh.reindex_bench import OTHER_MODEL, ReindexBench, reindex_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ReindexBench]:
    async with reindex_bench(tmp_path, FakeVectorStore()) as bench:
        yield bench


@pytest.fixture
def cli(
    bench: ReindexBench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    return Cli(bench.address, tmp_path, monkeypatch, capsys)


async def test_a_reindex_from_begin_to_commit(bench: ReindexBench, cli: Cli) -> None:
    await bench.ingest(range(3))
    command = ("collections", "reindex", "docs", "--model", OTHER_MODEL, "--max-tokens", "32")
    result = await cli(*command, "--json")
    assert result.code == 0, result.err
    assert result.json["committed"]
    assert result.json["documents"] == 3
    collection = result.json["collection"]
    assert collection["index_version"] == 2
    assert collection["embedding"]["model"] == OTHER_MODEL
    assert collection["index"]["max_tokens"] == 32
    assert result.json["chunks"] == collection["chunk_count"]
    again = await cli("collections", "reindex", "docs")
    assert again.out.startswith("docs is served by index version 3 now: 3 documents, ")


async def test_one_that_is_under_way_is_resumed_or_abandoned(bench: ReindexBench, cli: Cli) -> None:
    await bench.ingest(range(2))
    splitting = SplittingConfig(max_tokens=24, overlap_tokens=4)
    await bench.begin(splitting=splitting)
    shown = await cli("collections", "show", "docs")
    assert "0 of 2 documents" in shown.out
    refused = await cli("collections", "reindex", "docs")
    assert refused.code == 1
    assert "--resume" in refused.err
    settings = await cli("collections", "reindex", "docs", "--resume", "--max-tokens", "9")
    assert settings.code == 2
    abandoned = await cli("collections", "reindex", "docs", "--abandon")
    assert (abandoned.code, abandoned.out) == (0, "the reindex of docs is given up\n")
    for flag in ("--resume", "--abandon"):
        nothing = await cli("collections", "reindex", "docs", flag)
        assert nothing.code == 1
        assert "no reindex of docs is under way" in nothing.err
    await bench.begin(splitting=splitting)
    resumed = await cli("collections", "reindex", "docs", "--resume", "--json")
    assert resumed.json["collection"]["index"]["max_tokens"] == 24


async def test_a_document_that_can_t_be_built_keeps_the_old_index(
    bench: ReindexBench, cli: Cli
) -> None:
    await bench.ingest(range(2))
    bench.embedder.poison = "number 1"
    result = await cli("collections", "reindex", "docs", "--json")
    assert result.code == 1
    assert not result.json["committed"]
    assert [each["reason"] for each in result.json["failures"]] == ["INPUT_TOO_LONG"]
    assert "failed: file:///001.md" in result.err or "001.md" in result.err
    assert (await bench.collection()).index_version == 1
    bench.embedder.poison = POISON
    assert (await cli("collections", "reindex", "docs", "--resume")).code == 0
    assert (await bench.collection()).index_version == 2
