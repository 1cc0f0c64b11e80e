"""``groundmesh eval retrieval`` against a fake gateway that finds what it is told."""

import json
from math import log2
from pathlib import Path

import pytest

from groundmesh.errors import FailedPrecondition, Reason, Unavailable
from groundmesh.eval.beir import uri_of
from groundmesh.v1 import gateway_pb2, retriever_pb2
from tests.beir_folder import beir_folder
from tests.fakes.gateway import Memory
from tests.mesh.cli import Cli

COLLECTION = "tenants/default/collections/eval-fruit"
FOUND = {"what is sour": ["pears", "apples"], "what is sweet": ["pears", "apples"]}


@pytest.fixture
def memory() -> Memory:
    return Memory(found={query: list(map(uri_of, ids)) for query, ids in FOUND.items()})


@pytest.fixture(autouse=True)
def fruit(tmp_path: Path) -> None:
    beir_folder(tmp_path / "fruit")


async def test_all_modes_are_measured(cli: Cli, memory: Memory) -> None:
    result = await cli("eval", "retrieval", "fruit", "--json")
    assert result.code == 0, result.err
    assert set(result.json) == {"dataset", "modes"}
    assert result.json["dataset"] == "fruit"
    assert [mode["mode"] for mode in result.json["modes"]] == ["dense", "sparse", "hybrid"]
    for mode in result.json["modes"]:
        sour, sweet = 1 / log2(3), 1 / (1 + 1 / log2(3))  # one of two relevant ones is missing
        assert mode["ndcg@10"] == pytest.approx((sour + sweet) / 2, abs=1e-4)
        assert (mode["recall@10"], mode["recall@100"], mode["mrr@10"]) == (0.75, 0.75, 0.75)
        assert 0 < mode["p50_ms"] <= mode["p99_ms"]
        assert mode["ci95"]["mrr@10"] == [0.5, 1.0]
    assert "3 documents in " in result.err
    assert "1 document of the corpus with neither title nor text left out" in result.err
    assert "1 relevant document blank or not in the corpus" in result.err
    assert "dense: no full text here" in result.err


async def test_it_asks_for_the_best_chunk_of_a_hundred_documents(cli: Cli, memory: Memory) -> None:
    await cli("eval", "retrieval", "fruit", "--mode", "sparse", "--concurrency", "3")
    searches = [
        each
        for each in memory.requests
        if isinstance(each, gateway_pb2.GatewayServiceSearchRequest)
    ]
    assert {each.query for each in searches} == set(FOUND)
    for each in searches:
        assert list(each.collections) == [COLLECTION]
        assert each.retrieval.mode == retriever_pb2.SEARCH_MODE_SPARSE
        assert (each.retrieval.limit, each.retrieval.max_chunks_per_document) == (100, 1)


async def test_every_mode_is_measured_reranked_too(cli: Cli, memory: Memory) -> None:
    result = await cli(
        *("eval", "retrieval", "fruit", "--json", "--mode", "hybrid", "--mode", "dense"),
        *("--rerank", "--fusion", "weights", "--dense-weight", "0.25"),
    )
    assert [mode["mode"] for mode in result.json["modes"]] == [
        "hybrid",
        "hybrid+rerank",
        "dense",
        "dense+rerank",
    ]
    searches = [
        each.retrieval
        for each in memory.requests
        if isinstance(each, gateway_pb2.GatewayServiceSearchRequest)
    ]
    assert {each.rerank for each in searches} == {False, True}
    assert {each.fusion.weights.dense_weight for each in searches} == {0.25}


async def test_a_second_run_writes_nothing(cli: Cli) -> None:
    first = await cli("eval", "retrieval", "fruit")
    again = await cli("eval", "retrieval", "fruit")
    assert "3 new, 0 replaced, 0 unchanged, 0 failed" in first.err
    assert "0 new, 0 replaced, 3 unchanged, 0 failed; 0 chunks" in again.err


async def test_a_table_and_a_plot(cli: Cli) -> None:
    result = await cli("eval", "retrieval", "fruit", "--plot", "fruit.svg")
    assert result.code == 0, result.err
    head, *rows, last = result.out.splitlines()
    assert head.split()[0] == "MODE"
    assert [row.split()[0] for row in rows] == ["dense", "sparse", "hybrid"]
    assert "0.750 (0.500-1.000)" in rows[0]
    assert last == "Queries: 2."
    assert "<svg" in (cli.folder / "fruit.svg").read_text()


async def test_other_documents_in_the_collection_are_told(cli: Cli, memory: Memory) -> None:
    (cli.folder / "other.txt").write_text("bitter")
    assert (await cli("ingest", "other.txt", "-c", "mine")).code == 0
    result = await cli("eval", "retrieval", "fruit", "-c", "mine")
    assert "mine holds 1 other document, which take part in every ranking" in result.err


async def test_a_mode_that_the_store_can_not_do_is_left_out(cli: Cli, memory: Memory) -> None:
    no_full_text = FailedPrecondition("no full text", reason=Reason.FULL_TEXT_UNSUPPORTED)
    for mode in (retriever_pb2.SEARCH_MODE_SPARSE, retriever_pb2.SEARCH_MODE_HYBRID):
        memory.refused[mode] = no_full_text
    result = await cli("eval", "retrieval", "fruit", "--json")
    assert result.code == 0
    assert [mode["mode"] for mode in result.json["modes"]] == ["dense"]
    assert "sparse left out: no full text" in result.err


async def test_a_search_that_fails_ends_it(cli: Cli, memory: Memory) -> None:
    memory.refused[retriever_pb2.SEARCH_MODE_HYBRID] = Unavailable("the store is away")
    result = await cli("eval", "retrieval", "fruit", "--json", "--concurrency", "2")
    assert (result.code, result.out) == (3, "")
    assert "the store is away" in result.err


async def test_a_document_that_fails_is_named_and_the_rest_is_measured(
    cli: Cli, memory: Memory
) -> None:
    documents = [{"_id": "apples", "text": "sour"}, {"_id": "pears", "text": "sweet"}]
    beir_folder(cli.folder / "fruit", documents=documents)
    memory.unwanted.add(uri_of("pears"))
    result = await cli("eval", "retrieval", "fruit", "--json")
    assert result.code == 1
    assert "failed: beir:pears" in result.err
    assert len(result.json["modes"]) == 3


async def test_a_folder_of_another_kind_touches_no_mesh(cli: Cli, memory: Memory) -> None:
    (cli.folder / "fruit" / "corpus.jsonl").write_text(json.dumps({"id": "7"}))
    result = await cli("eval", "retrieval", "fruit")
    assert result.code == 1
    assert result.err == 'groundmesh: fruit/corpus.jsonl, line 1: no "_id"\n'
    assert not memory.requests


async def test_without_its_libraries_it_says_what_to_install(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundmesh.cli.corpus.importlib.util.find_spec", lambda name: None)
    result = await cli("eval", "retrieval", "fruit")
    assert result.code == 1
    assert "pip install 'groundmesh[eval]'" in result.err
