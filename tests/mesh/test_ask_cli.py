"""What ``groundmesh ask`` says of its answers, and conversations in a file."""

import json

import pytest

from groundmesh.v1 import collection_pb2, gateway_pb2
from tests.fakes.gateway import Memory
from tests.fakes.gateway_messages import abstained, citation
from tests.mesh.cli import Cli

DOCS = "tenants/default/collections/docs"
PLACE = "/docs/contract.pdf, page 3, Terms > Notice"
VERIFIED = "Verified quotes, word for word in their sources"
HOW = "1 with a verified quote, 1 by number, 2 inferred"


@pytest.fixture
def memory() -> Memory:
    return Memory(collections={DOCS: collection_pb2.Collection(name=DOCS)})


def cited(kind: gateway_pb2.CitationKind.ValueType, score: float | None) -> gateway_pb2.Citation:
    made = citation()
    made.kind = kind
    if score is not None:
        made.score = score
    return made


async def test_only_verbatim_citations_are_called_verified(cli: Cli, memory: Memory) -> None:
    memory.citations = [
        cited(gateway_pb2.CITATION_KIND_VERBATIM, None),
        cited(gateway_pb2.CITATION_KIND_INFERRED, 0.8125),
        citation(),
    ]
    coverage = gateway_pb2.CitationCoverage(sentences=4, cited=3, verbatim=1, marker=1, inferred=2)
    memory.final.coverage.CopyFrom(coverage)
    memory.final.removed_citations = 2
    result = await cli("ask", "How long?", "-c", "docs")
    parts = result.out.strip().split("\n\n")
    assert parts[1:5] == [
        f"Sources (* cited)\n*[1] {PLACE}",
        f'{VERIFIED}\n [1] "three months" ({PLACE}, bytes 121 to 133)',
        'Inferred afterwards by likeness, not verified\n~[1] 0.81 "three months"',
        f"3 of 4 sentences cited: {HOW}; 2 citations did not check",
    ]


async def test_a_source_that_was_only_inferred_is_not_marked_as_cited(
    cli: Cli, memory: Memory
) -> None:
    memory.citations = [cited(gateway_pb2.CITATION_KIND_INFERRED, 0.5)]
    result = await cli("ask", "How long?", "-c", "docs")
    assert f"\nSources (~ inferred)\n~[1] {PLACE}\n" in result.out
    assert "Verified" not in result.out


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (gateway_pb2.ABSTENTION_NO_PASSAGE, "no passage was found, and the model was not asked"),
        (gateway_pb2.ABSTENTION_LOW_EVIDENCE, "and the model was not asked (the nearest has 0.75)"),
        (gateway_pb2.ABSTENTION_MODEL, "the model itself says that the passages don't answer it"),
    ],
)
async def test_why_there_is_no_answer(
    cli: Cli, memory: Memory, why: gateway_pb2.Abstention.ValueType, told: str
) -> None:
    memory.final, memory.citations = abstained(why), []
    result = await cli("ask", "How long?", "-c", "docs")
    [line] = [line for line in result.out.splitlines() if line.startswith("Not answered: ")]
    assert line.endswith(f"{told}.")
    assert ("tokens read" in result.out) == (why == gateway_pb2.ABSTENTION_MODEL)
    shown = (await cli("ask", "How long?", "-c", "docs", "--json")).json
    assert shown["abstained"]
    assert f"ABSTENTION_{shown['abstention']}" == gateway_pb2.Abstention.Name(why)


async def test_a_conversation_goes_on_in_its_file(cli: Cli, memory: Memory) -> None:
    memory.standalone_question = "How long is the notice of the contract?"
    first = await cli("ask", "A contract?", "-c", "docs", "--chat", "talk.jsonl")
    assert "Searched for" not in first.out
    second = await cli("ask", "How long?", "-c", "docs", "--chat", "talk.jsonl", "--template", "t")
    assert "\nSearched for: How long is the notice of the contract?\n" in second.out
    assert [message.content for message in memory.requests[-1].history] == [
        "A contract?",
        "Three months [1].",
    ]
    assert memory.requests[-1].template == "t"
    third = await cli("ask", "Why?", "-c", "docs", "--chat", "talk.jsonl", "--json")
    assert third.json["standalone_question"] == memory.standalone_question
    lines = (cli.folder / "talk.jsonl").read_text().splitlines()
    asked = ["A contract?", "How long?", "Why?"]
    assert [json.loads(line)["content"] for line in lines[::2]] == asked
    assert {json.loads(line)["role"] for line in lines[1::2]} == {"assistant"}


async def test_a_failed_question_does_not_enter_the_conversation(cli: Cli) -> None:
    assert (await cli("ask", "q", "-c", "other", "--chat", "talk.jsonl")).code == 1
    assert not (cli.folder / "talk.jsonl").exists()


async def test_an_empty_answer_does_not_enter_the_conversation(cli: Cli, memory: Memory) -> None:
    memory.answer = ()
    result = await cli("ask", "q", "-c", "docs", "--chat", "talk.jsonl")
    assert result.code == 0
    assert "note: the model said nothing, so talk.jsonl is left as it was" in result.err
    assert not (cli.folder / "talk.jsonl").exists()


async def test_a_bad_line_of_a_conversation_is_named(cli: Cli, memory: Memory) -> None:
    talk = cli.folder / "talk.jsonl"
    talk.write_text('{"role": "user", "content": "a"}\n{"role": "system", "content": "b"}\n')
    result = await cli("ask", "q", "-c", "docs", "--chat", "talk.jsonl")
    assert result.code == 1
    wrong = 'talk.jsonl, line 2: "role" must be one of user, assistant'
    assert result.err == f"groundmesh: {wrong}\n"
    assert not memory.requests
