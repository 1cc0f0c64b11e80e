"""``groundmesh eval answers`` against a fake gateway that answers what it is told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from groundmesh.cli import eval_answers
from groundmesh.errors import Unavailable
from groundmesh.eval import answering
from groundmesh.v1 import gateway_pb2
from tests.fakes.gateway import Memory
from tests.fakes.gateway_messages import abstained
from tests.mesh.cli import Cli
from tests.questions_file import ARTICLES, squad_file
from tests.waiting import until

COLLECTION = "tenants/default/collections/eval-stones"
FILES = {
    "answers.jsonl",
    "evidence.svg",
    "measures.svg",
    "report.json",
    "report.md",
    "times.jsonl",
}


@pytest.fixture
def memory() -> Memory:
    answers: dict[str, tuple[str, ...]] = {
        question: (f"[1] {answer}", ".")
        for rows in ARTICLES.values()
        for _, question, answer in rows
    }
    found = {question: ["squad:Stone_Age/0"] for question in answers}
    return Memory(answers=answers, found=found)


@pytest.fixture(autouse=True)
def stones(tmp_path: Path) -> Path:
    return squad_file(tmp_path / "stones.json")


def asks(memory: Memory) -> list[gateway_pb2.AskRequest]:
    return [each for each in memory.requests if isinstance(each, gateway_pb2.AskRequest)]


async def test_every_question_is_put_and_measured(cli: Cli, memory: Memory) -> None:
    result = await cli("eval", "answers", "stones.json", "--json", "--max-tokens", "9")
    assert result.code == 0, result.err
    scores = result.json["scores"]
    assert scores["questions"] == {"answerable": 3, "impossible": 3, "elsewhere": 1}
    assert (scores["errors"], scores["exact_answerable"], scores["exact"]) == (0, 1.0, 0.5)
    assert (scores["false_refusals"], scores["false_answers_impossible"]) == (0.0, 1.0)
    assert scores["hit@5"] == pytest.approx(1 / 3, abs=1e-4)
    assert scores["coverage"]["sentences"] == 14
    assert result.json["settings"]["model"] == "fake-model"
    assert result.json["times_ms"]["whole"]["p99"] > 0
    assert "3 new, 0 replaced" in result.err
    for request in asks(memory):
        assert list(request.collections) == [COLLECTION]
        assert (request.sampling.temperature, request.sampling.max_tokens) == (0.0, 9)
        assert request.sampling.HasField("temperature")
    hidden = [each for each in asks(memory) if each.retrieval.HasField("filter")]
    assert 1 <= len(hidden) <= 2  # the very first question is put once more, as a warm-up
    assert hidden[0].question in memory.answers


async def test_a_report_is_written_and_a_second_one_has_the_same_answers(
    cli: Cli, memory: Memory
) -> None:
    first = await cli("eval", "answers", "stones.json", "--report", "one")
    again = await cli("eval", "answers", "stones.json", "--report", "two", "--concurrency", "3")
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert "MEASURE" in first.out
    assert "0 new, 0 replaced, 3 unchanged" in again.err
    one, two = cli.folder / "one", cli.folder / "two"
    assert {each.name for each in one.iterdir()} == FILES
    assert (one / "answers.jsonl").read_bytes() == (two / "answers.jsonl").read_bytes()
    scores = [json.loads((each / "report.json").read_text())["scores"] for each in (one, two)]
    assert scores[0] == scores[1]
    assert "| exact | 0.500 |" in (one / "report.md").read_text()
    (line, *_) = map(json.loads, (one / "answers.jsonl").read_text().splitlines())
    assert {"id", "answer", "golds", "citations", "sources", "evidence"} <= set(line)


async def test_refusals_are_told_by_their_reason(cli: Cli, memory: Memory) -> None:
    memory.final = abstained(gateway_pb2.ABSTENTION_LOW_EVIDENCE)
    result = await cli("eval", "answers", "stones.json", "--json")
    scores = result.json["scores"]
    assert scores["refused"] == {"low_evidence": 7}
    assert (scores["false_refusals"], scores["false_answers_elsewhere"]) == (1.0, 0.0)
    assert result.json["times_ms"] == {"first_text": {}, "whole": {}}


async def test_where_every_question_fails_there_is_no_report(cli: Cli, memory: Memory) -> None:
    memory.asked = Unavailable("the generator is away")
    result = await cli("eval", "answers", "stones.json", "--report", "one")
    assert result.code == 1
    assert "every question failed; the first: the generator is away" in result.err
    assert not (cli.folder / "one").exists()


async def test_an_interruption_leaves_no_half_report(
    cli: Cli, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = answering.ask_all

    async def held_back(*asked: Any, **how: Any) -> Any:
        memory.pause.clear()  # not before: the paragraphs would wait, too
        return await put(*asked, **how)

    monkeypatch.setattr(answering, "ask_all", held_back)
    asked = eval_answers.Evaluation(
        dataset=cli.folder / "stones.json",
        collection=None,
        model="",
        template="",
        max_tokens=None,
        limit=None,
        seed=0,
        concurrency=1,
        timeout_s=20.0,
        report=cli.folder / "one",
    )
    evaluation = eval_answers.evaluate_answers(asked, server=cli.server, as_json=False)
    running = asyncio.create_task(evaluation)
    await until(lambda: memory.open_calls)
    running.cancel()  # as Ctrl-C does
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [each.name for each in cli.folder.iterdir()] == ["stones.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.json"], "no such file of questions"),
        (["stones.json", "--report", "stones.json"], "taken by a file"),
        (["stones.json", "--report", "no/where"], "no such place"),
    ],
)
async def test_what_can_not_work_touches_no_mesh(
    cli: Cli, memory: Memory, arguments: list[str], said: str
) -> None:
    result = await cli("eval", "answers", *arguments)
    assert result.code == 1
    assert said in result.err
    assert not memory.requests


def own_questions(path: Path) -> dict[str, Any]:
    """Questions about documents that are there: 40 that belong, 40 that don't."""
    kinds = [(n, "in" if n % 2 else "out") for n in range(80)]
    rows = [
        {"question": f"{kind} {n}", "answers": ["x"], "is_impossible": kind == "out"}
        for n, kind in kinds
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {str(row["question"]): 0.5 + (n % 2) * 0.3 for n, row in enumerate(rows)}


async def test_a_collection_is_calibrated_and_shows_it(cli: Cli, memory: Memory) -> None:
    memory.near = own_questions(cli.folder / "ours.jsonl")
    memory.near |= {"in 1": 0.2, "in 3": 0.3}
    assert (await cli("collections", "create", "docs")).code == 0
    result = await cli("eval", "answers", "ours.jsonl", "-c", "docs", "--calibrate", "--json")
    assert result.code == 0, result.err
    found = result.json["calibration"]
    assert found["min_evidence"] == pytest.approx(0.8, abs=1e-3)
    assert (found["false_refusal_rate"], found["false_answer_rate"]) == (0.05, 0.0)
    assert (found["answerable_questions"], found["auc"]) == (40, 0.95)
    assert not asks(memory)
    shown = await cli("collections", "show", "docs")
    assert "answers from" in shown.out
    assert "AUC 0.950; refuses 5.0 % of 40 questions of its own" in shown.out
    as_json = (await cli("collections", "show", "docs", "--json")).json
    assert as_json["calibration"]["unanswerable_questions"] == 40


async def test_questions_without_contexts_need_a_collection(cli: Cli, memory: Memory) -> None:
    own_questions(cli.folder / "ours.jsonl")
    result = await cli("eval", "answers", "ours.jsonl", "--calibrate")
    assert result.code == 1
    assert "--collection" in result.err


async def test_too_few_questions_calibrate_nothing(cli: Cli, memory: Memory) -> None:
    result = await cli("eval", "answers", "stones.json", "--calibrate")
    assert result.code == 1
    assert "at least 20 are needed" in result.err
    assert not memory.collections[COLLECTION].HasField("calibration")
