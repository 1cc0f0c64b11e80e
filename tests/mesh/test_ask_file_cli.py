"""``groundmesh ask --file``: many questions, against a fake gateway."""

import json
import signal
import time
from asyncio import timeout
from pathlib import Path
from typing import Any

import pytest

from groundmesh.errors import Internal, ResourceExhausted
from groundmesh.v1 import collection_pb2, gateway_pb2
from tests.fakes.gateway import Memory
from tests.fakes.gateway_messages import abstained
from tests.mesh.cli import Cli, cli_process
from tests.waiting import until

DOCS = "tenants/default/collections/docs"


@pytest.fixture
def memory() -> Memory:
    return Memory(collections={DOCS: collection_pb2.Collection(name=DOCS)})


def rows(text: str) -> list[Any]:
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def asked(memory: Memory) -> list[str]:
    return [request.question for request in memory.requests]


async def test_each_line_is_answered_in_its_place(cli: Cli, memory: Memory) -> None:
    questions = [f"question {number}" for number in range(50)]
    (cli.folder / "q.txt").write_text("\n".join(questions))
    memory.ask_failures["question 3"] = [Internal("it broke")]
    result = await cli("ask", "--file", "q.txt", "-c", "docs", "--concurrency", "7")
    assert result.code == 1
    answers = rows(result.out)
    assert [answer["question"] for answer in answers] == questions
    assert answers.pop(3) == {
        "question": "question 3",
        "error": {"code": "INTERNAL", "reason": "INTERNAL_ERROR", "message": "it broke"},
    }
    one = (await cli("ask", "question 0", "-c", "docs", "--json")).json
    assert all({**answer, "question": "question 0"} == one for answer in answers)
    assert "50 questions in " in result.err
    assert "49 answered, 0 not answered, 1 failed (1 INTERNAL_ERROR)" in result.err


async def test_a_refusal_is_no_failure(cli: Cli, memory: Memory) -> None:
    memory.final = abstained(gateway_pb2.ABSTENTION_NO_PASSAGE)
    (cli.folder / "q.jsonl").write_text('{"question": "a", "id": 7}\n')
    result = await cli("ask", "--file", "q.jsonl", "-c", "docs")
    assert result.code == 0
    assert "0 answered, 1 not answered (1 NO_PASSAGE), 0 failed" in result.err


async def test_an_overloaded_mesh_is_asked_again_when_it_says(cli: Cli, memory: Memory) -> None:
    busy = ResourceExhausted("full", retry_after_s=0.01)
    memory.ask_failures = {"a": [busy, busy], "b": [ResourceExhausted("full", retry_after_s=900)]}
    (cli.folder / "q.txt").write_text("a\nb\n")
    result = await cli("ask", "--file", "q.txt", "-c", "docs")
    first, second = rows(result.out)
    assert first["answer"] == "Three months [1]."
    assert second["error"]["reason"] == "OVERLOADED"  # it would be past the time for an answer
    assert sorted(asked(memory)) == ["a", "a", "a", "b"]


async def test_what_is_answered_is_not_asked_again(cli: Cli, memory: Memory) -> None:
    (cli.folder / "q.txt").write_text("a\nb\na\nc\n")
    command = ("ask", "--file", "q.txt", "-c", "docs", "--output", "out.jsonl")
    out = cli.folder / "out.jsonl"
    memory.ask_failures["b"] = [Internal("it broke")]
    assert (await cli(*command)).code == 1
    whole = out.read_bytes()
    out.write_bytes(whole[:-20])  # as a disk that was full, or a machine that went down, leaves it
    memory.requests.clear()
    result = await cli(*command)
    assert result.code == 0
    assert result.out == ""
    assert result.err.startswith("2 questions answered already\n")
    assert sorted(asked(memory)) == ["b", "c"]
    assert [row["question"] for row in rows(out.read_text())] == ["a", "b", "a", "c"]
    assert all("answer" in row for row in rows(out.read_text()))
    assert {each.name for each in cli.folder.iterdir()} == {"q.txt", "out.jsonl"}


@pytest.mark.parametrize(
    ("file", "wrong"),
    [
        (("q.txt", "a\n\nb\n"), "line 2: is empty"),
        (("q.txt", '{"question": "a"}\nb\n'), "line 2: is not JSON"),
        (("q.jsonl", "a\n"), "line 1: is not JSON"),
        (("q.jsonl", '{"question": "a"}\n{"query": "b"}\n'), 'line 2: no "question"'),
        (("q.jsonl", '{"question": " "}\n'), 'line 1: "question" is empty'),
        (("q.txt", ""), "there is no question in it"),
    ],
)
async def test_a_line_without_a_question_is_named_before_any_is_asked(
    cli: Cli, memory: Memory, file: tuple[str, str], wrong: str
) -> None:
    name, content = file
    (cli.folder / name).write_text(content)
    result = await cli("ask", "--file", name, "-c", "docs", "--output", "out.jsonl")
    assert result.code in (1, 2)
    assert wrong in result.err
    assert not memory.requests
    assert not (cli.folder / "out.jsonl").exists()


@pytest.mark.parametrize("content", ['{"question": "other"}\n', "notes", '{"question": "a"}\nx\n'])
async def test_a_file_of_something_else_is_not_touched(
    cli: Cli, memory: Memory, content: str
) -> None:
    (cli.folder / "q.txt").write_text("a\n")
    (cli.folder / "out.jsonl").write_text(content)
    result = await cli("ask", "--file", "q.txt", "-c", "docs", "--output", "out.jsonl")
    assert result.code == 1
    assert "out.jsonl, line " in result.err
    assert (cli.folder / "out.jsonl").read_text() == content
    assert not memory.requests


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("q", "--file", "q.txt"),
        ("q", "--output", "out.jsonl"),
        ("q", "--concurrency", "2"),
        ("--file", "q.txt", "--chat", "talk.jsonl"),
        ("--file", "nowhere.txt"),
    ],
)
async def test_wrong_usage_is_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert (await cli("ask", *arguments, "-c", "docs")).code == 2


async def test_a_mesh_that_is_away_ends_all(cli: Cli) -> None:
    cli.server = "127.0.0.1:1"
    (cli.folder / "q.txt").write_text("a\nb\n")
    result = await cli("ask", "--file", "q.txt", "-c", "docs", "--output", "out.jsonl")
    assert result.code == 3
    assert "can't be reached; 0 of 2 questions done" in result.err
    assert (cli.folder / "out.jsonl").read_bytes() == b""


async def test_ctrl_c_ends_it_at_once_with_whole_lines(cli: Cli, memory: Memory) -> None:
    questions = Path(cli.folder / "q.txt")
    questions.write_text("\n".join(f"question {number}" for number in range(20)))
    memory.pause.clear()
    flags = ("--file", "q.txt", "-c", "docs", "--output", "out.jsonl", "--concurrency", "3")
    process = await cli_process(cli.server, cli.folder, "ask", *flags)
    await until(lambda: memory.open_calls == 3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    async with timeout(20):
        _, err = await process.communicate()
    assert time.monotonic() - began < 10  # it says within a second; a busy machine may take longer
    assert process.returncode == 130
    assert err == b"stopped after 0 of 20; to go on, run the same command again\n"
    await until(lambda: memory.open_calls == 0)
    memory.pause.set()
    assert (await cli("ask", *flags)).code == 0
    assert len(rows((cli.folder / "out.jsonl").read_text())) == 20
