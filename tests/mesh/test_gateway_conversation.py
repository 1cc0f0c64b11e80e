"""Conversations and templates through the gateway: what is asked of whom, and what is told."""

from typing import Any

import pytest

from groundmesh.v1 import embedder_pb2, gateway_pb2, generator_pb2, retriever_pb2
from groundmesh_generator.prompts import ChatPrompt
from tests.fakes.leaves import chunk
from tests.fakes.telling_generator import TellingBackend
from tests.mesh.gateway_mesh import gateway_mesh, text_of

SAID = [
    {"role": generator_pb2.ROLE_USER, "content": "What is the Eiffel Tower?"},
    {"role": generator_pb2.ROLE_ASSISTANT, "content": "[1] A tower in Paris."},
]
STANDALONE = "Who designed the Eiffel Tower?"


def telling(standalone: str) -> TellingBackend:
    """A model that rewrites so, and answers."""

    def tells(prompt: ChatPrompt) -> str:
        is_rewriting = prompt.messages[-1].content.endswith("Stand-alone question:")
        return standalone if is_rewriting else "[1] So it is."

    return TellingBackend(tells)


def stages(final: gateway_pb2.AnswerFinal) -> list[Any]:
    return [each.stage for each in final.timings]


async def test_a_follow_up_is_made_standalone_searched_and_answered() -> None:
    backend = telling(f"{STANDALONE}\nIt was Eiffel.")
    async with gateway_mesh(generator=backend) as mesh:
        events = await mesh.ask("Who designed it?", history=SAID)
        embed = mesh.embedder.last(embedder_pb2.EmbedRequest)
        search = mesh.retriever.last(retriever_pb2.SearchRequest)
    assert (list(embed.texts), search.query_text) == ([STANDALONE], STANDALONE)
    assert events[0].sources.standalone_question == STANDALONE
    final = events[-1].final
    assert stages(final)[0] == gateway_pb2.STAGE_REWRITE
    assert (list(final.degraded), final.template) == ([], "numbers@1")
    said = [(each.role.value, each.content) for each in backend.prompts[-1].messages]
    assert said[-3:-1] == [
        ("user", "What is the Eiffel Tower?"),
        ("assistant", "A tower in Paris."),
    ]
    assert f"\n\nQuestion: {STANDALONE}\n" in said[-1][1]
    rewriting = backend.jobs[-2]
    assert (rewriting.sampling.temperature, rewriting.sampling.stop) == (0.0, ("\n",))


async def test_a_question_without_a_conversation_costs_one_call() -> None:
    backend = telling(STANDALONE)
    async with gateway_mesh(generator=backend) as mesh:
        before = len(backend.jobs)
        events = await mesh.ask()
    assert len(backend.jobs) == before + 1
    assert events[0].sources.standalone_question == ""
    assert gateway_pb2.STAGE_REWRITE not in stages(events[-1].final)


async def test_what_the_model_can_not_rewrite_is_searched_with_what_was_said() -> None:
    backend = telling("It is a tower made of iron!")
    searched = "What is the Eiffel Tower?\nWho designed it?"
    async with gateway_mesh(generator=backend) as mesh:
        events = await mesh.ask("Who designed it?", history=SAID)
        search = mesh.retriever.last(retriever_pb2.SearchRequest)
    assert search.query_text == events[0].sources.standalone_question == searched
    assert "was not made stand-alone" in events[-1].final.degraded[0]
    assert "\n\nQuestion: Who designed it?\n" in backend.prompts[-1].messages[-1].content


async def test_turns_without_room_are_told() -> None:
    long = [{**each, "content": "word " * 600} for each in SAID * 5]
    async with gateway_mesh(generator=telling(STANDALONE)) as mesh:
        events = await mesh.ask("Who designed it?", history=[*long, *SAID])
    assert "the oldest 5 turns of the conversation had no room" in events[-1].final.degraded


@pytest.mark.parametrize("template", ["quotes", "quotes@1"])
async def test_the_question_chooses_the_template(template: str) -> None:
    backend = telling("")
    async with gateway_mesh(generator=backend) as mesh:
        events = await mesh.ask(template=template)
    assert events[-1].final.template == "quotes@1"
    assert "##begin_quote##" in backend.prompts[-1].messages[0].content


async def test_without_a_prompt_no_template_is_named() -> None:
    async with gateway_mesh(min_score=0.5) as mesh:
        mesh.retriever.chunks = [chunk("Far away.", cosine=0.1)]
        events = await mesh.ask()
    assert events[-1].final.template == ""
    assert text_of(events)
