"""``examples/check_quotes.py`` reads what was printed, and finds what was tampered with."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from groundmesh.names import document_id
from groundmesh.quotes import BEGIN_QUOTE, END_QUOTE
from tests.fakes.leaves import chunk
from tests.fakes.paced_generator import PacedBackend
from tests.mesh.cli import Cli
from tests.mesh.gateway_mesh import COLLECTION, gateway_mesh

SCRIPT = Path(__file__).parents[2] / "examples" / "check_quotes.py"
URI = "file:///guide.md"
TEXT = "Über die Fähre: it leaves from pier 4."
ANSWER = f"It {BEGIN_QUOTE}leaves from pier 4{END_QUOTE}."

TAMPERED: list[tuple[dict[str, Any], str]] = [
    ({"answer_end": 12}, "the answer says otherwise"),
    ({"start": 18}, "not what stands in the document"),
    ({"start": 18, "quote": "it leaves from pier 4"}, "the answer says otherwise"),
    ({"answer_start": 10, "answer_end": 10}, "it quotes nothing"),
]


async def test_what_is_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with gateway_mesh(generator=PacedBackend(answer=ANSWER, repeat=False)) as mesh:
        mesh.retriever.chunks = [chunk(TEXT, uri=URI)]
        mesh.retriever.texts = {f"{COLLECTION}/documents/{document_id(URI)}": TEXT.encode()}
        server = mesh.servers["gateway"].address
        cli = Cli(server, tmp_path, monkeypatch, capsys)
        right = (await cli("ask", "Where?", "--collection", "docs", "--json")).out
        wrong = [json.dumps(tampered(json.loads(right), changes)) for changes, _ in TAMPERED]
        clean = await checked(f"{right}\n{right}", tmp_path / "clean", server=server)
        found = await checked("".join([right, *wrong]), tmp_path / "wrong", server=server)
    assert clean == (0, [], {"answers": 2, "VERBATIM": 2, "wrong": 0})
    code, problems, counted = found
    assert (code, counted) == (1, {"answers": 5, "VERBATIM": 5, "wrong": 4})
    assert all(said in line for (_, said), line in zip(TAMPERED, problems, strict=True))


def tampered(answer: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    answer["citations"][0].update(changes)
    return answer


async def checked(answers: str, file: Path, *, server: str) -> tuple[int | None, list[str], Any]:
    """How the script ends, the problems that it names, and its counts."""
    file.write_text(answers)
    arguments = [str(SCRIPT), str(file), "--collection", "docs", "--server", server]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
    )
    *problems, counted = (await process.communicate())[0].decode().splitlines()
    return process.returncode, problems, json.loads(counted)
