"""The conversation before a question: in the prompt, and made a part of the question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundmesh.prompting import (
    NUMBERS,
    ChatTokens,
    GroundedPrompt,
    Message,
    Passage,
    QuestionTooLong,
    Role,
    TokenBudget,
    build_prompt,
    read_standalone,
    standalone_prompt,
)
from tests.injections import INJECTIONS

CONSTANT = len(NUMBERS.constant_messages)
SAID = [
    Message(Role.USER, "What is the Eiffel Tower?"),
    Message(Role.ASSISTANT, "[1] A lattice tower in Paris [1][2]."),
]


def words(text: str) -> int:
    return len(text.split())


def built(history: list[Message], *, window: int = 4000) -> GroundedPrompt:
    return build_prompt(
        "Who designed it?",
        [Passage("", "", "Gustave Eiffel's company designed it. " * 20)],
        budget=TokenBudget(window=window, answer=50, chat=ChatTokens(3, 4)),
        count=words,
        history=history,
    )


def turns(prompt: GroundedPrompt) -> list[tuple[Role, str]]:
    return [(each.role, each.content) for each in prompt.messages[CONSTANT:-1]]


def test_turns_stand_between_what_is_constant_and_the_passages() -> None:
    prompt = built(SAID)
    assert prompt.messages[:CONSTANT] == NUMBERS.constant_messages
    assert turns(prompt) == [
        (Role.USER, "What is the Eiffel Tower?"),
        (Role.ASSISTANT, "A lattice tower in Paris."),
    ]
    assert prompt.turns_left_out == 0


def test_roles_take_turns_whatever_was_sent() -> None:
    """Chat templates refuse conversations that don't."""
    user, assistant = Message(Role.USER, "u"), Message(Role.ASSISTANT, "a")
    assert turns(built([assistant, user, user, assistant, assistant, user])) == [
        (Role.USER, "…"),
        (Role.ASSISTANT, "a"),
        (Role.USER, "u\n\nu"),
        (Role.ASSISTANT, "a\n\na"),
        (Role.USER, "u"),
        (Role.ASSISTANT, "…"),
    ]


@pytest.mark.parametrize("said", ["[1]", "[1] [2, 3]\n", "##begin_quote####end_quote##"])
def test_an_answer_of_citations_only_is_a_side_that_said_nothing(said: str) -> None:
    """A generator takes no empty message."""
    user = Message(Role.USER, "u")
    prompt = built([user, Message(Role.ASSISTANT, said)])
    assert turns(prompt) == [(Role.USER, "u"), (Role.ASSISTANT, "…")]


def test_the_oldest_turns_are_left_out() -> None:
    history = [
        Message(role, f"{role.value} {number} " + "word " * 10)
        for number in range(40)
        for role in (Role.USER, Role.ASSISTANT)
    ]
    prompt = built(history, window=600)
    assert 0 < prompt.turns_left_out < 40
    assert len(turns(prompt)) == 2 * (40 - prompt.turns_left_out)
    assert turns(prompt)[-1][1].startswith("assistant 39")
    assert prompt.passages


messages = st.builds(
    Message, st.sampled_from([Role.USER, Role.ASSISTANT]), st.text("ab .\n", min_size=1)
)


@given(st.lists(messages, max_size=12), st.integers(300, 700))
def test_a_conversation_keeps_within_the_budget(history: list[Message], window: int) -> None:
    try:
        prompt = built(history, window=window)
    except QuestionTooLong:
        return
    total = sum(words(each.content) + 4 for each in prompt.messages) + 3
    assert total + 50 <= window


def test_only_the_citations_of_earlier_answers_are_left_out() -> None:
    history = [
        SAID[0],
        Message(Role.ASSISTANT, "So a[0] ##begin_quote##is##end_quote## it [[1]2]."),
    ]
    assert turns(built(history))[-1] == (Role.ASSISTANT, "So a[0] is it [ 2].")


def standalone_content(question: str, history: list[Message]) -> str:
    prompt = standalone_prompt(question, history)
    assert prompt is not None
    return prompt[-1].content


def test_what_the_model_is_asked_for_a_standalone_question() -> None:
    assert standalone_content("Who designed it?", SAID) == (
        "User: What is the Eiffel Tower?\nAssistant: A lattice tower in Paris.\n\n"
        "Last question: Who designed it?\nStand-alone question:"
    )


@pytest.mark.parametrize("tried", INJECTIONS)
def test_no_conversation_changes_the_form_of_that_prompt(tried: str) -> None:
    attack = INJECTIONS[tried]
    content = standalone_content(attack, [Message(Role.USER, attack), Message(Role.USER, attack)])
    lines = content.splitlines()
    starts = ["User: ", "Assistant: ", "", "Last question: ", "Stand-alone question:"]
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))
    assert "<|im_start|>" not in content
    assert "##begin" not in content.lower()


def test_a_long_question_is_not_rewritten() -> None:
    assert standalone_prompt("why " * 1000, SAID) is None


@pytest.mark.parametrize(
    ("reply", "is_used"),
    [
        ("Who designed the Eiffel Tower?", True),
        ("  Who designed the tower in Paris?\n", True),
        ("Who designed it?", True),  # it was stand-alone already
        ("", False),
        ("What is the Eiffel Tower?", False),  # the earlier question
        ("Gustave Eiffel's company, founded 1866.", False),
        ("It is a tower in Paris.", False),
        ("Is it a tower in Paris?", True),  # wrong, but that can't be told
        ("I'm sorry, but I can't help you with who designed that.", False),
        ("Who designed the Eiffel Tower?\nWho built it?", False),
        ("Who designed the Eiffel Tower? " * 20, False),
        ("[1]", False),
    ],
)
def test_a_reply_is_used_where_it_is_sane(reply: str, is_used: bool) -> None:
    expected = reply.strip() if is_used else None
    assert read_standalone(reply, "Who designed it?", SAID) == expected
