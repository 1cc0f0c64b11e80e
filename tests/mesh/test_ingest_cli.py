"""``groundmesh ingest`` when the mesh is lost, and when files are; against a fake gateway."""

import asyncio
from pathlib import Path

import pytest

from groundmesh.cli import resuming
from groundmesh.testing import running
from groundmesh.v1 import collection_pb2, document_pb2
from tests.fakes.gateway import Memory, gateway_service
from tests.mesh.cli import Cli, cli_process
from tests.milvus_servers import free_port
from tests.waiting import until

DOCS = "tenants/default/collections/docs"
FILES = 10


@pytest.fixture
def memory() -> Memory:
    return Memory(collections={DOCS: collection_pb2.Collection(name=DOCS)})


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "PAUSES_S", (0.01, 0.02))


@pytest.fixture
def notes(cli: Cli) -> Path:
    folder = cli.folder / "notes"
    (folder / "deep").mkdir(parents=True)
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(f"text {number}")
    return folder


def uris(memory: Memory) -> set[str]:
    return {document.uri for document in memory.documents.values()}


async def test_a_stream_that_is_lost_is_sent_again_without_what_is_done(
    cli: Cli, notes: Path, memory: Memory
) -> None:
    memory.breaks = [3, 0, 5]
    result = await cli("ingest", "notes", "-c", "docs", "--json")
    assert result.code == 0
    assert (result.json["files"], result.json["indexed"], result.json["chunks"]) == (10, 10, 10)
    assert result.err.splitlines() == [
        "lost; sending again in 0.01 s: 7 files left",
        "lost; sending again in 0.02 s: 7 files left",
        "lost; sending again in 0.01 s: 2 files left",
    ]


async def test_a_mesh_that_stays_lost_is_given_up_and_said_so(
    cli: Cli, notes: Path, memory: Memory
) -> None:
    memory.breaks = [4, 0, 0, 0]
    result = await cli("ingest", "notes", "-c", "docs")
    assert result.code == 3
    assert "lost; 4 of 10 files were done" in result.err
    assert "run the same command again" in result.err
    assert memory.breaks == [0]


async def test_a_gateway_that_dies_before_its_first_word_is_waited_for(
    memory: Memory, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")
    memory.pause.clear()
    port = free_port()
    async with running(gateway_service(memory), port=port, drain_grace_s=0.1) as server:
        process = await cli_process(server.address, tmp_path, "ingest", "a.txt", "-c", "docs")
        await until(lambda: memory.open_calls == 1)
    memory.pause.set()
    async with running(gateway_service(memory), port=port), asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b"; sending again in 0.5 s: 1 file left" in err
    assert b"1 new" in out


async def test_prune_deletes_what_is_gone_from_the_folders_that_are_named(
    cli: Cli, notes: Path, memory: Memory
) -> None:
    beside = cli.folder / "notes2"
    beside.mkdir()
    (beside / "a.txt").write_text("a")
    (notes / "deep" / "ä b.txt").write_text("deep")
    (notes / "was a file").write_text("x")
    assert (await cli("ingest", "notes", "notes2", "-c", "docs")).code == 0
    (beside / "a.txt").unlink()
    (notes / "deep" / "ä b.txt").unlink()
    (notes / "deep").rmdir()
    (notes / "1.txt").unlink()
    (notes / "2.txt").rename(notes / ".2.txt")
    (notes / "was a file").unlink()
    (notes / "was a file").mkdir()
    kept = uris(memory)
    result = await cli("ingest", "notes", "-c", "docs")
    assert result.code == 0
    assert uris(memory) == kept  # nobody asked for it
    result = await cli("ingest", "notes", "-c", "docs", "--prune")
    assert result.code == 0
    assert result.err.splitlines() == [
        "gone: notes/1.txt",
        "gone: notes/2.txt",
        "gone: notes/deep/ä b.txt",
    ]
    assert "3 gone and deleted" in result.out
    assert kept - uris(memory) == {
        (notes / name).as_uri() for name in ("1.txt", "2.txt", "deep/ä b.txt")
    }
    assert (beside / "a.txt").as_uri() in uris(memory)
    again = await cli("ingest", "notes", "-c", "docs", "--prune", "--json")
    assert again.json["pruned"] == []


async def test_prune_looks_at_no_other_uris(cli: Cli, notes: Path, memory: Memory) -> None:
    for uri in ("https://host/notes/gone.txt", "file:///elsewhere/gone.txt", f"{notes.as_uri()}"):
        name = f"{DOCS}/documents/{len(memory.documents)}"
        memory.documents[name] = document_pb2.Document(name=name, uri=uri)
    before = uris(memory)
    result = await cli("ingest", "notes", "-c", "docs", "--prune", "--json")
    assert result.json["pruned"] == []
    assert before <= uris(memory)


async def test_nothing_is_pruned_after_a_run_that_did_not_end_well(
    cli: Cli, notes: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await cli("ingest", "notes", "-c", "docs")).code == 0
    before = uris(memory)
    (notes / "1.txt").unlink()
    memory.breaks = [2, 0, 0]
    assert (await cli("ingest", "notes", "-c", "docs", "--prune")).code == 3

    def walk(top: Path, onerror: object) -> object:
        assert callable(onerror)
        onerror(PermissionError(13, "Permission denied", str(notes / "deep")))
        yield str(top), [], ["0.txt"]

    with monkeypatch.context() as patch:
        patch.setattr("groundmesh.cli.walking.os.walk", walk)
        result = await cli("ingest", "notes", "-c", "docs", "--prune")
    assert result.code == 1
    assert "deep: Permission denied" in result.err
    assert "nothing was pruned" in result.err

    for file in notes.glob("*.txt"):  # as when what is mounted there is not
        file.unlink()
    result = await cli("ingest", "notes", "-c", "docs", "--prune")
    assert result.code == 1
    assert "no files to ingest" in result.err
    assert uris(memory) == before


async def test_a_file_that_can_t_be_looked_at_is_not_gone(
    cli: Cli, notes: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = (notes / "deep" / "far.txt").as_uri()
    memory.documents[f"{DOCS}/documents/x"] = document_pb2.Document(
        name=f"{DOCS}/documents/x", uri=uri
    )
    stat = Path.stat

    def denied(path: Path, **options: bool) -> object:
        if path.name == "far.txt":
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", denied)
    result = await cli("ingest", "notes", "-c", "docs", "--prune", "--json")
    assert result.json["pruned"] == []
    assert uri in uris(memory)


async def test_labels_go_with_every_file(cli: Cli, notes: Path, memory: Memory) -> None:
    result = await cli("ingest", "notes", "-c", "docs", "--label", "hr", "--label", "board")
    assert result.code == 0
    for document in memory.documents.values():
        assert set(document.reader_labels) == {"hr", "board"}


async def test_purge_says_that_it_has_purged(cli: Cli, notes: Path, memory: Memory) -> None:
    await cli("ingest", "notes", "-c", "docs")
    deleted = await cli("documents", "delete", "notes/1.txt", "-c", "docs", "--yes", "--purge")
    assert deleted.out == "deleted and purged notes/1.txt\n"
    assert memory.requests[-1].purge
