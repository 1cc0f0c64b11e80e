"""The commands that talk to a mesh, against a fake gateway."""

import pytest

from groundmesh.errors import Unavailable
from groundmesh.v1 import collection_pb2, gateway_pb2, mesh_pb2
from tests.fakes.gateway import Memory
from tests.fakes.gateway_messages import TEXT
from tests.mesh.cli import Cli

DOCS = "tenants/default/collections/docs"


@pytest.fixture
def memory() -> Memory:
    return Memory(collections={DOCS: collection_pb2.Collection(name=DOCS)})


async def test_ask_prints_answer_sources_and_times(cli: Cli) -> None:
    result = await cli("ask", "How long?", "--collection", "docs")
    assert result.code == 0
    answer, sources, coverage, times = result.out.strip().split("\n\n")
    assert answer == "Three months [1]."
    assert sources.splitlines()[1] == "*[1] /docs/contract.pdf, page 3, Terms > Notice"
    assert coverage == "1 of 2 sentences cited: 1 by number"
    assert times.splitlines() == [
        "hybrid search: embed 8 ms · total 1.9 s",
        "fake-model: 50 tokens read, 5 written; template default@1",
    ]


async def test_ask_json_is_one_object(cli: Cli) -> None:
    result = await cli("ask", "How long?", "-c", "docs", "--json")
    assert result.code == 0
    assert result.json == {
        "question": "How long?",
        "answer": "Three months [1].",
        "abstained": False,
        "model": "fake-model",
        "sources": [
            {
                "n": 1,
                "uri": "file:///docs/contract.pdf",
                "title": "Contract",
                "place": "page 3, Terms > Notice",
                "score": 0.5,
                "text": TEXT,
            }
        ],
        "citations": [
            {
                "kind": "MARKER",
                "source": 1,
                "quote": "three months",
                "start": 121,
                "end": 133,
                "answer_start": 0,
                "answer_end": 17,
                "score": None,
            }
        ],
        "usage": {"prompt_tokens": 50, "completion_tokens": 5, "cached_prompt_tokens": 0},
        "timings_ms": {"embed": 8.0, "total": 1900.0},
        "mode": "HYBRID",
        "reranked": False,
        "degraded": [],
        "abstention": None,
        "evidence": 0.75,
        "coverage": {"sentences": 2, "cited": 1, "verbatim": 0, "marker": 1, "inferred": 0},
        "removed_citations": 0,
        "template": "default@1",
        "standalone_question": None,
    }


async def test_an_answer_can_not_take_over_the_terminal(cli: Cli, memory: Memory) -> None:
    memory.answer = ("\x1b[2Jnice\x07 try\x9b1m",)
    result = await cli("ask", "q", "-c", "docs")
    assert result.out.startswith("[2Jnice try1m\n")


async def test_search_prints_places_and_excerpts(cli: Cli) -> None:
    result = await cli("search", "notice", "-c", "docs", "--mode", "dense", "--limit", "3")
    assert result.code == 0
    assert result.out.splitlines() == [
        "1. /docs/contract.pdf, page 3, Terms > Notice  (0.5000)",
        TEXT,
        "1 passage, hybrid search in 12 ms",
    ]
    assert result.err == "note: no full text here\n"


async def test_search_json(cli: Cli, memory: Memory) -> None:
    result = await cli("search", "notice", "-c", "docs", "-n", "3", "--json")
    assert result.json["passages"][0]["text"] == TEXT
    assert result.json["passages"][0]["start"] == 100
    assert memory.requests[-1].retrieval.limit == 3


async def test_search_says_whether_it_was_reranked(cli: Cli, memory: Memory) -> None:
    memory.rerank_score = 0.75
    result = await cli("search", "notice", "-c", "docs", "--rerank")
    assert result.out.splitlines()[-1] == "1 passage, hybrid search, reranked in 12 ms"
    told = (await cli("search", "notice", "-c", "docs", "--rerank", "--json")).json
    assert (told["reranked"], told["degraded"]) == (True, ["no full text here"])
    assert told["passages"][0]["rerank_score"] == 0.75
    answered = await cli("ask", "How long?", "-c", "docs", "--rerank")
    assert "hybrid search, reranked: embed 8 ms" in answered.out


async def test_what_is_asked_of_retrieval_reaches_the_mesh(cli: Cli, memory: Memory) -> None:
    other = DOCS + "-2"
    memory.collections[other] = collection_pb2.Collection(name=other)
    flags = ("--fusion", "weights", "--dense-weight", "0.25", "--diversity", "0.5", "--rerank")
    for command in ("search", "ask"):
        both = ("-c", "docs", "-c", "docs-2")
        result = await cli(command, "notice", *both, *flags, "--merge-neighbors")
        assert result.code == 0
        request = memory.requests[-1]
        assert list(request.collections) == [DOCS, other]
        assert request.retrieval.fusion.weights.dense_weight == 0.25
        assert request.retrieval.diversity.relevance_weight == 0.5
        assert request.retrieval.rerank
        assert request.retrieval.merge_neighbors
    await cli("search", "notice", "-c", "docs")
    assert memory.requests[-1].retrieval == gateway_pb2.RetrievalOptions()
    wrong = await cli(
        "search", "notice", "-c", "docs", "--fusion", "ranks", "--dense-weight", "0.25"
    )
    assert wrong.code == 2
    assert "goes with --fusion weights" in wrong.err


async def test_ingest_walks_folders_and_tells_every_failure(cli: Cli, memory: Memory) -> None:
    notes = cli.folder / "notes"
    (notes / "deep").mkdir(parents=True)
    (notes / ".git").mkdir()
    (notes / "a.txt").write_text("a")
    (notes / "deep" / "b.md").write_text("b")
    (notes / "deep" / "empty.txt").touch()
    (notes / ".git" / "hidden").write_text("x")
    (notes / "picture.png").write_bytes(b"x")
    result = await cli("ingest", "notes", "--collection", "new")
    assert result.code == 1
    assert result.err.splitlines() == [
        "created the collection new (embedding model fake-embedder)",
        "passed over 1 file that holds no text (.png 1)",
        "failed: notes/deep/empty.txt: the document is empty (DOCUMENT_EMPTY)",
    ]
    assert "3 files in" in result.out
    told = "2 new, 0 replaced, 0 unchanged, 1 failed (1 DOCUMENT_EMPTY); 2 chunks written to new"
    assert told in result.out
    uris = {document.uri for document in memory.documents.values()}
    assert uris == {(notes / "a.txt").as_uri(), (notes / "deep" / "b.md").as_uri()}
    again = await cli("ingest", "notes/a.txt", "-c", "new", "--json")
    assert again.code == 0
    assert again.err == ""
    assert again.json["unchanged"] == 1
    assert again.json["failures"] == []


async def test_ingest_lists_what_became_of_each_file(cli: Cli) -> None:
    for name, content in (("b.txt", "b"), ("a.ts", "let a"), ("empty.txt", "")):
        (cli.folder / name).write_text(content)
    result = await cli("ingest", ".", "-c", "docs", "--list")
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[:3] == [
        ["outcome", "chunks", "document", "reason"],
        ["new", "1", "a.ts"],
        ["new", "1", "b.txt"],
    ]
    assert lines[3] == ["failed", "empty.txt", "the", "document", "is", "empty", "(DOCUMENT_EMPTY)"]
    assert "failed: " not in result.err
    again = await cli("ingest", ".", "-c", "docs", "--list", "--json")
    rows = {row["uri"].rpartition("/")[2]: row for row in again.json["documents"]}
    assert (rows["a.ts"]["outcome"], rows["empty.txt"]["reason"]) == ("unchanged", "DOCUMENT_EMPTY")


async def test_a_hundred_files_are_counted_right(cli: Cli) -> None:
    for number in range(100):
        (cli.folder / f"{number}.txt").write_text(f"text {number}")
    result = await cli("ingest", ".", "-c", "docs", "--json")
    assert result.code == 0
    assert (result.json["files"], result.json["indexed"], result.json["chunks"]) == (100, 100, 100)


async def test_a_path_that_is_not_there_is_wrong_usage(cli: Cli, memory: Memory) -> None:
    result = await cli("ingest", "nowhere", "-c", "docs")
    assert result.code == 2
    assert result.err == "groundmesh: nowhere: there is no such file or folder\n"
    assert not memory.requests


async def test_collections_from_birth_to_end(cli: Cli) -> None:
    created = await cli("collections", "create", "new", "--description", "All of it", "--json")
    assert created.json["description"] == "All of it"
    listed = await cli("collections", "list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["NAME", "docs", "new"]
    assert [each["name"] for each in (await cli("collections", "list", "--json")).json] == [
        DOCS,
        "tenants/default/collections/new",
    ]
    assert "fake-embedder" in (await cli("collections", "show", "new")).out
    unasked = await cli("collections", "delete", "new")
    assert unasked.code == 2
    assert "--yes" in unasked.err
    deleted = await cli("collections", "delete", "new", "--yes")
    assert deleted.out == "deleted the collection new\n"
    gone = await cli("collections", "show", "new")
    assert gone.code == 1
    assert gone.err.splitlines()[1].strip() == "`groundmesh collections list` shows what is there"


async def test_documents_are_named_by_their_paths(cli: Cli) -> None:
    (cli.folder / "a.txt").write_text("grüße")
    await cli("ingest", "a.txt", "-c", "docs")
    listed = await cli("documents", "list", "-c", "docs")
    assert listed.out.splitlines()[1].split()[:3] == ["a.txt", "a.txt", "text/plain"]
    [listed_json] = (await cli("documents", "list", "-c", "docs", "--json")).json
    shown = await cli("documents", "show", "a.txt", "-c", "docs", "--json")
    assert shown.json == listed_json
    by_id = await cli("documents", "show", listed_json["name"].rpartition("/")[2], "-c", "docs")
    assert "text/plain" in by_id.out
    assert (await cli("documents", "text", "a.txt", "-c", "docs")).out == "grüße"
    part = await cli("documents", "text", "a.txt", "-c", "docs", "--start", "2", "--end", "4")
    assert part.out == "ü"
    deleted = await cli("documents", "delete", "a.txt", "-c", "docs", "--yes")
    assert deleted.out == "deleted a.txt\n"
    assert (await cli("documents", "show", "a.txt", "-c", "docs")).code == 1


async def test_status_is_0_only_when_all_are_ready(cli: Cli, memory: Memory) -> None:
    info = mesh_pb2.ServerInfo(service="embedder", ready=True, engine="e", engine_version="5")
    memory.peers = [mesh_pb2.PeerInfo(service="embedder", address="h:1", server=info)]
    result = await cli("status")
    assert result.code == 0
    assert result.out.splitlines()[2].split() == ["embedder", "yes", "e", "5", "h:1"]
    memory.peers.append(mesh_pb2.PeerInfo(service="generator", address="h:2", error="it is away"))
    result = await cli("status")
    assert result.code == 3
    assert "it is away" in result.out
    result = await cli("status", "--json")
    assert result.code == 3
    assert [each["ready"] for each in result.json] == [True, True, False]


async def test_a_mesh_that_does_not_run(cli: Cli) -> None:
    cli.server = "127.0.0.1:1"
    for command in (("status",), ("ask", "q", "-c", "docs"), ("collections", "list")):
        result = await cli(*command)
        assert result.code == 3
        assert result.out == ""
        assert result.err.splitlines() == [
            "groundmesh: the mesh at 127.0.0.1:1 can't be reached",
            "  start it with `groundmesh up`, or name another with --server HOST:PORT",
        ]


async def test_a_service_that_is_away(cli: Cli, memory: Memory) -> None:
    memory.asked = Unavailable("the generator can't be reached")
    result = await cli("ask", "q", "-c", "docs", "--json")
    assert result.code == 3
    assert result.out == ""
    assert result.err.splitlines()[0] == "groundmesh: the generator can't be reached"


@pytest.mark.parametrize("arguments", [("ask", "q"), ("ask", "q", "-c", "docs", "-n", "0"), ("x",)])
async def test_wrong_usage_is_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert (await cli(*arguments)).code == 2
