"""What the core refuses before any work is put into it."""

import math
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundmesh.errors import InvalidArgument, Reason
from groundmesh_generator.backends.base import ModelInfo
from groundmesh_generator.prompts import (
    BYTES_PER_TOKEN,
    MAX_MESSAGES,
    ChatPrompt,
    Message,
    Prompt,
    Role,
    TextPrompt,
    check_prompt,
)
from groundmesh_generator.sampling import Sampling, check_sampling
from groundmesh_generator.window import tokens_to_generate

MODEL = ModelInfo("tiny", "0", context_tokens=100)
MAX_BYTES = 100 * BYTES_PER_TOKEN


def fields_of(error: pytest.ExceptionInfo[InvalidArgument]) -> list[str]:
    return [violation.field for violation in error.value.fields]


def said(*contents: str, role: Role = Role.USER) -> ChatPrompt:
    return ChatPrompt(tuple(Message(role, content) for content in contents))


@pytest.mark.parametrize(
    ("prompt", "field"),
    [
        (TextPrompt(""), "prompt.text"),
        (TextPrompt(" \n\t"), "prompt.text"),
        (TextPrompt("x" * (MAX_BYTES + 1)), "prompt.text"),
        (TextPrompt("ä" * (MAX_BYTES // 2 + 1)), "prompt.text"),
        (ChatPrompt(()), "prompt.chat.messages"),
        (said("hello", ""), "prompt.chat.messages[1].content"),
        (said("hello", "I am here", role=Role.ASSISTANT), "prompt.chat.messages[1].role"),
        (said(*["hi"] * (MAX_MESSAGES + 1)), "prompt.chat.messages"),
        (said(*["x" * (MAX_BYTES // 2 + 1)] * 2), "prompt.chat.messages"),
    ],
)
def test_a_wrong_prompt_is_refused_by_its_field(prompt: Prompt, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_prompt(prompt, field="prompt", context_tokens=100)
    assert fields_of(refused) == [field]


def test_a_conversation_that_ends_with_a_user_is_taken() -> None:
    messages = (Message(Role.SYSTEM, "be brief"), Message(Role.USER, "why?"))
    check_prompt(ChatPrompt(messages), field="prompt", context_tokens=100)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, math.nan) for name in ("temperature", "top_p", "min_p", "presence_penalty")),
        *((name, math.nan) for name in ("frequency_penalty", "repetition_penalty")),
        *((name, math.inf) for name in ("temperature", "top_p", "repetition_penalty")),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_k", -1),
        ("min_p", -0.1),
        ("presence_penalty", -2.1),
        ("frequency_penalty", 2.1),
        ("repetition_penalty", 0.0),
        ("seed", -1),
        ("max_tokens", 0),
        ("max_tokens", -5),
        ("max_tokens", 65),
        ("n", 0),
        ("n", 17),
        ("logprobs", -1),
        ("logprobs", 21),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_field(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_sampling(Sampling(**{name: value}), field="sampling", max_output_tokens=64)
    assert fields_of(refused) == [f"sampling.{name}"]


@pytest.mark.parametrize(
    ("stop", "field"),
    [
        (("",), "sampling.stop[0]"),
        (("ok", "x" * 257), "sampling.stop[1]"),
        (("x",) * 17, "sampling.stop"),
    ],
)
def test_wrong_stop_texts_are_refused(stop: tuple[str, ...], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_sampling(Sampling(stop=stop), field="sampling", max_output_tokens=64)
    assert fields_of(refused) == [field]


def test_greedy_answers_are_not_generated_several_times() -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_sampling(Sampling(n=2, temperature=0.0), field="sampling", max_output_tokens=64)
    assert fields_of(refused) == ["sampling.n"]


def test_all_wrong_values_are_named_at_once() -> None:
    wrong = Sampling(temperature=-1, top_k=-1, stop=("",))
    with pytest.raises(InvalidArgument) as refused:
        check_sampling(wrong, field="sampling", max_output_tokens=64)
    assert set(fields_of(refused)) == {
        "sampling.temperature",
        "sampling.top_k",
        "sampling.stop[0]",
    }


def test_what_is_absent_or_at_a_limit_is_taken() -> None:
    check_sampling(Sampling(), field="sampling", max_output_tokens=64)
    limits = Sampling(
        temperature=0,
        top_p=1,
        top_k=0,
        min_p=1,
        presence_penalty=-2,
        frequency_penalty=2,
        repetition_penalty=2,
        seed=2**63 - 1,
        stop=("x" * 256,) * 16,
        max_tokens=64,
        n=1,
        logprobs=20,
    )
    check_sampling(limits, field="sampling", max_output_tokens=64)


@given(
    asked=st.none() | st.integers(1, 200),
    prompt_tokens=st.integers(0, 150),
    limit=st.integers(1, 200),
)
def test_prompt_and_answer_fit_the_window_or_are_refused(
    asked: int | None, prompt_tokens: int, limit: int
) -> None:
    left = MODEL.context_tokens - prompt_tokens
    grant = partial(
        tokens_to_generate,
        asked,
        prompt_tokens=prompt_tokens,
        model=MODEL,
        max_output_tokens=limit,
    )
    if left >= (asked or 1):
        assert grant() == (asked or min(left, limit))
        return
    with pytest.raises(InvalidArgument) as refused:
        grant()
    assert refused.value.reason is Reason.INPUT_TOO_LONG
    assert refused.value.metadata["prompt_tokens"] == str(prompt_tokens)
    assert refused.value.metadata["context_tokens"] == "100"


def test_the_field_that_is_too_long_is_named() -> None:
    for asked, prompt_tokens, field in ((None, 100, "prompt"), (51, 50, "sampling.max_tokens")):
        with pytest.raises(InvalidArgument) as refused:
            tokens_to_generate(
                asked, prompt_tokens=prompt_tokens, model=MODEL, max_output_tokens=64
            )
        assert fields_of(refused) == [field]
