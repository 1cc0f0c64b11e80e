"""A question in a conversation: what is searched, what is asked, and what is said of it."""

from collections.abc import Sequence

import pytest

from groundmesh import deadline
from groundmesh.errors import ResourceExhausted
from groundmesh.prompting import ChatTokens, Message, Reserved, Role
from groundmesh_gateway.ask_ports import ModelTokens
from groundmesh_gateway.conversation import AskedQuestion, asked_question
from groundmesh_gateway.stages import Stage, Stopwatch

SAID = [
    Message(Role.USER, "What is the Eiffel Tower?"),
    Message(Role.ASSISTANT, "A tower in Paris."),
]


class FakeModel:
    """Rewrites as a test says."""

    def __init__(self, reply: str | Exception) -> None:
        self.reply = reply
        self.asked: list[Sequence[Message]] = []
        self.time_left: float | None = None

    async def model_tokens(self) -> ModelTokens:
        return ModelTokens("m", 2048, 500, ChatTokens(), lambda text: len(text.split()), Reserved())

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> str:
        self.asked.append(messages)
        self.time_left = deadline.remaining()
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


async def asked(
    model: FakeModel, question: str = "Who designed it?", history: Sequence[Message] = SAID
) -> tuple[AskedQuestion, Stopwatch]:
    watch = Stopwatch()
    return await asked_question(question, history, model, watch), watch


async def test_without_a_conversation_nobody_is_asked() -> None:
    model = FakeModel("Who?")
    result, watch = await asked(model, history=())
    assert result == AskedQuestion("Who designed it?", "Who designed it?")
    assert not model.asked
    assert Stage.REWRITE not in watch.finish()


async def test_the_standalone_question_is_searched_and_asked() -> None:
    rewritten = "Who designed the Eiffel Tower?"
    result, watch = await asked(FakeModel(f" {rewritten} "))
    assert result == AskedQuestion(rewritten, rewritten)
    assert Stage.REWRITE in watch.finish()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("A tower in Paris.", "no usable rewriting"),
        ("", "no usable rewriting"),
        (ResourceExhausted("the queue is full"), "the queue is full"),
    ],
)
async def test_else_it_is_searched_with_what_was_said_before(
    reply: str | Exception, why: str
) -> None:
    result, _ = await asked(FakeModel(reply))
    assert result.question == "Who designed it?"
    assert result.searched == "What is the Eiffel Tower?\nWho designed it?"
    assert why in result.degraded[0]


async def test_what_was_said_is_bounded_in_a_search() -> None:
    long = [Message(Role.USER, "word " * 10_000)]
    result, _ = await asked(FakeModel(""), history=long)
    assert len(result.searched) < 600
    only_answers = [Message(Role.ASSISTANT, "Hello.")]
    result, _ = await asked(FakeModel(""), history=only_answers)
    assert result.searched == "Who designed it?"


async def test_a_question_too_long_to_rewrite_costs_no_call() -> None:
    model = FakeModel("x")
    result, _ = await asked(model, question="why " * 1000)
    assert not model.asked
    assert result.degraded


async def test_rewriting_leaves_time_for_the_answer() -> None:
    model = FakeModel("Who designed the Eiffel Tower?")
    with deadline.within(40):
        await asked(model)
    assert model.time_left is not None
    assert 5 < model.time_left <= 10
