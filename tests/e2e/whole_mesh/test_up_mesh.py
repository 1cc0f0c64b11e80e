"""`groundmesh up` as a user has it: 100 files in, questions answered, everything shown true."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from groundmesh.client import Client
from tests.real_mesh import RealMesh

pytestmark = pytest.mark.e2e

TOWNS = 100
GRPC_CORE_LINE = re.compile(r"[IWE]\d{4} \d\d:")
"""What gRPC's core, which knows nothing of Python's logging, prints now and then."""


def town(number: int) -> str:
    return f"Quellbach{number:03d}"


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "towns"
    folder.mkdir()
    for number in range(TOWNS):
        text = f"The town of {town(number)} has {1000 + number} inhabitants and a stone bridge.\n"
        (folder / f"{town(number)}.txt").write_text(text)
    return folder


@pytest.fixture(scope="module")
def filled(mesh: RealMesh, towns: Path) -> RealMesh:
    first = mesh.json("ingest", str(towns), "--collection", "towns")
    assert (first["files"], first["indexed"], first["failed"]) == (TOWNS, TOWNS, 0)
    return mesh


def test_up_says_what_starts_and_when_it_is_ready(mesh: RealMesh) -> None:
    output = mesh.output()
    for service in ("generator", "milvus", "embedder", "retriever", "trainer", "gateway"):
        assert f"{service}: starting on 127.0.0.1:" in output
        assert f"{service}: ready after" in output
    assert "all 6 services are ready after" in output
    assert "died" not in output


def test_status_shows_every_service(mesh: RealMesh) -> None:
    done = mesh.cli("status", "--json")
    assert done.returncode == 0, done.stderr
    shown = {each["service"]: each for each in json.loads(done.stdout)}
    assert set(shown) >= {"gateway", "embedder", "retriever", "generator"}
    for each in shown.values():
        assert each["ready"]
        assert each["version"]
        assert each["address"].startswith("127.0.0.1:")
    assert "all-MiniLM-L6-v2" in shown["embedder"]["models"]
    assert "SmolLM2-135M-Instruct" in shown["generator"]["models"]
    assert "vllm" in mesh.cli("status").stdout


def test_ingesting_again_changes_nothing(filled: RealMesh, towns: Path) -> None:
    again = filled.json("ingest", str(towns), "--collection", "towns")
    assert (again["unchanged"], again["chunks"], again["failures"]) == (TOWNS, 0, [])
    shown = filled.json("collections", "show", "towns")
    assert (shown["document_count"], shown["chunk_count"]) == (TOWNS, TOWNS)


def test_a_file_that_fails_is_named_and_stops_no_other(filled: RealMesh, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("A town with a good file.")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    done = filled.cli("ingest", str(tmp_path), "--collection", "mixed")
    assert done.returncode == 1
    assert "created the collection mixed" in done.stderr
    assert f"failed: {tmp_path}/broken.pdf: " in done.stderr
    assert "1 new, 0 replaced, 0 unchanged, 1 failed" in done.stdout


def test_search_finds_the_one_right_file(filled: RealMesh, towns: Path) -> None:
    for number in (7, 42, 99):
        found = filled.json("search", f"inhabitants of {town(number)}", "--collection", "towns")
        passages: Any = found["passages"]
        assert passages[0]["uri"] == (towns / f"{town(number)}.txt").as_uri()


def test_ask_answers_with_sources_and_true_times(filled: RealMesh, towns: Path) -> None:
    question = f"How many inhabitants has {town(42)}?"
    answer: Any = filled.json("ask", question, "--collection", "towns", "--max-tokens", "40")
    assert list(answer) == [
        "question",
        "answer",
        "abstained",
        "model",
        "sources",
        "citations",
        "usage",
        "timings_ms",
        "mode",
        "reranked",
        "degraded",
        "abstention",
        "evidence",
        "coverage",
        "removed_citations",
        "template",
        "standalone_question",
    ]
    assert answer["question"] == question
    assert answer["answer"]
    assert answer["model"] == "SmolLM2-135M-Instruct"
    assert answer["sources"][0]["uri"] == (towns / f"{town(42)}.txt").as_uri()
    assert [source["n"] for source in answer["sources"]] == [*range(1, len(answer["sources"]) + 1)]
    assert 0 < answer["usage"]["completion_tokens"] <= 40
    stages = {stage: took for stage, took in answer["timings_ms"].items() if stage != "total"}
    assert sum(stages.values()) <= answer["timings_ms"]["total"] * 1.05


def test_ask_for_people(filled: RealMesh) -> None:
    done = filled.cli("ask", f"Where is {town(3)}?", "--collection", "towns", "--max-tokens", "20")
    assert done.returncode == 0, done.stderr
    assert "\nSources (" in done.stdout
    assert "[1] " in done.stdout
    assert "first token" in done.stdout
    assert "total" in done.stdout


async def test_citations_point_at_what_they_quote(filled: RealMesh) -> None:
    async with Client(filled.address()) as client:
        result = await client.search(town(5), collection="towns")
        chunk = result.passages[0].chunk
        text = await client.documents.text(
            chunk.document, start_byte=chunk.start_byte, end_byte=chunk.end_byte
        )
        assert text == chunk.text


def test_documents_are_read_by_their_paths(filled: RealMesh, towns: Path) -> None:
    path = str(towns / f"{town(1)}.txt")
    done = filled.cli("documents", "text", path, "--collection", "towns")
    assert done.stdout.rstrip("\n") == Path(path).read_text().rstrip("\n")


def test_a_second_mesh_on_the_same_data_is_refused(mesh: RealMesh) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "groundmesh.cli", "up", "--data", str(mesh.data)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"a mesh already runs on {mesh.data} (process {mesh.up.pid}, " in done.stderr
    assert f"ports {mesh.base_port} to {mesh.base_port + 5})" in done.stderr


def test_a_second_mesh_on_the_same_ports_is_refused(mesh: RealMesh, tmp_path: Path) -> None:
    arguments = ["up", "--data", str(tmp_path), "--port", str(mesh.base_port)]
    done = subprocess.run(
        [sys.executable, "-m", "groundmesh.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"port {mesh.base_port} (gateway)" in done.stderr
    assert "--port" in done.stderr


def test_logs_are_json_lines(mesh: RealMesh) -> None:
    for service in ("gateway", "embedder", "retriever", "generator", "trainer"):
        lines = (mesh.data / "logs" / f"{service}.log").read_text().splitlines()
        ours = [line for line in lines if not GRPC_CORE_LINE.match(line)]
        assert ours
        for line in ours:
            assert json.loads(line)["service"] == service
