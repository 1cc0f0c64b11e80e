"""The backend for OpenAI-compatible endpoints, against one that says what a test wants."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest

from groundmesh.errors import (
    FailedPrecondition,
    Internal,
    InvalidArgument,
    MeshError,
    NotFound,
    Reason,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from groundmesh_generator.backends.base import (
    Backend,
    BackendOptions,
    FinishReason,
    TokenLogprob,
    TokenLogprobs,
)
from groundmesh_generator.backends.openai_endpoint import OpenAIBackend
from groundmesh_generator.core import Generator
from groundmesh_generator.prompts import TextPrompt
from groundmesh_generator.sampling import Sampling
from groundmesh_generator.structured import JsonSchema, Regex
from tests.fakes.openai_endpoint import HELLO, MODEL, Endpoint, chunk, openai_endpoint
from tests.generator_backends import QUESTION, answer, job_for
from tests.waiting import until

KEY = "sk-secret"


def backend_of(endpoint: Endpoint, **options: Any) -> Backend:
    given = {"context_tokens": 1000, "endpoint_timeout_s": 5, "start_timeout_s": 0.1, **options}
    return OpenAIBackend(BackendOptions(MODEL, endpoint=endpoint.url, api_key=KEY, **given))


@asynccontextmanager
async def started(endpoint: Endpoint, **options: Any) -> AsyncIterator[Backend]:
    backend = backend_of(endpoint, **options)
    try:
        await backend.start()
        yield backend
    finally:
        await backend.stop()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with openai_endpoint() as served:
        yield served


async def test_an_answer_of_a_cloud_is_streamed_and_counted(endpoint: Endpoint) -> None:
    async with started(endpoint) as backend:
        got = await answer(backend, QUESTION, Sampling(temperature=0.5, stop=("x",)), max_tokens=9)
    assert [(delta.text, delta.tokens) for delta in got.deltas] == [("Hello ", 1), ("there", 1)]
    assert got.finished.reasons == (FinishReason.STOP,)
    assert (got.finished.prompt_tokens, got.finished.completion_tokens) == (5, 3)
    (asked,) = endpoint.asked
    assert asked.pop("messages")[0]["role"] == "user"
    assert asked == {
        "model": MODEL,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "stop": ["x"],
    }
    assert set(endpoint.keys) == {f"bearer {KEY}"}


async def test_a_schema_is_sent_as_a_cloud_takes_it(endpoint: Endpoint) -> None:
    form = JsonSchema('{"type": "object"}')
    async with started(endpoint) as backend:
        await answer(backend, QUESTION, Sampling(structured_output=form))
    assert endpoint.asked[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        (Sampling(top_k=3), "sampling.top_k"),
        (Sampling(min_p=0.0), "sampling.min_p"),
        (Sampling(repetition_penalty=1.1), "sampling.repetition_penalty"),
        (Sampling(structured_output=Regex("a")), "sampling.structured_output.regex"),
    ],
)
async def test_what_a_cloud_cannot_do_is_said_before_it_is_asked(
    endpoint: Endpoint, sampling: Sampling, field: str
) -> None:
    async with started(endpoint) as backend:
        with pytest.raises(Unimplemented) as refused:
            await answer(backend, QUESTION, sampling)
    assert [violation.field for violation in refused.value.fields] == [field]
    assert endpoint.asked == []


async def test_without_a_tokenizer_nothing_is_counted_here(endpoint: Endpoint) -> None:
    backend = backend_of(endpoint)
    generator = Generator(backend)
    await generator.start()
    assert await backend.encode(TextPrompt("one two"), field="prompt") == ()
    with pytest.raises(Unimplemented, match="--tokenizer"):
        generator.tokenizer()
    with pytest.raises(Unimplemented):
        await generator.count_tokens([TextPrompt("one")])
    await generator.stop()


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, InvalidArgument, Reason.INVALID_FIELD),
        (401, FailedPrecondition, Reason.UNSPECIFIED),
        (403, FailedPrecondition, Reason.UNSPECIFIED),
        (404, NotFound, Reason.MODEL_NOT_FOUND),
        (422, InvalidArgument, Reason.INVALID_FIELD),
        (429, ResourceExhausted, Reason.OVERLOADED),
        (500, Unavailable, Reason.SERVICE_UNREACHABLE),
        (503, Unavailable, Reason.SERVICE_UNREACHABLE),
    ],
)
async def test_what_an_endpoint_refuses_is_told_as_our_own_error(
    endpoint: Endpoint, status: int, kind: type[MeshError], reason: Reason
) -> None:
    async with started(endpoint) as backend:
        endpoint.status, endpoint.headers = status, {"retry-after": "7"}
        endpoint.error = {"message": "not today", "type": "x", "code": None}
        with pytest.raises(kind) as refused:
            await answer(backend, QUESTION)
        assert backend.load.running == 0
    assert refused.value.reason is reason
    assert "not today" in refused.value.message
    assert KEY not in refused.value.message
    assert refused.value.retry_after_s == (7.0 if status == 429 else None)


async def test_a_date_to_retry_at_is_understood_too(endpoint: Endpoint) -> None:
    async with started(endpoint) as backend:
        endpoint.status = 429
        endpoint.headers = {"retry-after": formatdate(time.time() + 60, usegmt=True)}
        with pytest.raises(ResourceExhausted) as busy:
            await answer(backend, QUESTION)
        assert 50 < (busy.value.retry_after_s or 0) <= 60
        await backend.check()


async def test_a_prompt_that_is_too_long_there_is_too_long_here(endpoint: Endpoint) -> None:
    async with started(endpoint) as backend:
        endpoint.status = 400
        endpoint.error = {"message": "This model's maximum context length is 9 tokens"}
        with pytest.raises(InvalidArgument) as refused:
            await answer(backend, QUESTION)
    assert refused.value.reason is Reason.INPUT_TOO_LONG


async def test_log_probabilities_of_a_conversation_and_of_a_text_are_read(
    endpoint: Endpoint,
) -> None:
    likeliest = [{"token": "Hi", "logprob": -0.1}, {"token": "Ho", "logprob": -2.5}]
    content = [{"token": "Hi", "logprob": -0.1, "top_logprobs": likeliest}]
    text = {"tokens": ["Hi"], "token_logprobs": [-0.1], "top_logprobs": [{"Ho": -2.5, "Hi": -0.1}]}
    chat_choice = {"index": 0, "delta": {"content": "Hi"}, "logprobs": {"content": content}}
    text_choice = {"index": 0, "text": "Hi", "logprobs": text}
    expected = TokenLogprobs(
        TokenLogprob("Hi", None, -0.1),
        (TokenLogprob("Hi", None, -0.1), TokenLogprob("Ho", None, -2.5)),
    )
    async with started(endpoint) as backend:
        for prompt, choice in ((QUESTION, chat_choice), (TextPrompt("Say"), text_choice)):
            endpoint.chunks = ({"choices": [{**choice, "finish_reason": "length"}]},)
            for count in (2, 1):
                got = await answer(backend, prompt, Sampling(logprobs=count))
                (token,) = got.deltas[0].logprobs
                assert token == TokenLogprobs(expected.chosen, expected.likeliest[:count])
            assert (got.finished.completion_tokens, got.deltas[0].tokens) == (1, 1)


@pytest.mark.parametrize("ends", [True, False])
async def test_an_answer_that_breaks_off_is_no_answer(endpoint: Endpoint, ends: bool) -> None:
    endpoint.chunks, endpoint.ends = (chunk("Hel"),), ends
    async with started(endpoint) as backend:
        with pytest.raises(Unavailable):
            await answer(backend, QUESTION)


async def test_an_error_in_the_middle_of_an_answer_is_told(endpoint: Endpoint) -> None:
    endpoint.chunks = (chunk("Hel"), {"error": {"message": "out of memory", "code": 500}})
    async with started(endpoint) as backend:
        with pytest.raises(Unavailable, match="out of memory"):
            await answer(backend, QUESTION)


async def test_an_answer_that_was_not_asked_for_is_a_fault_of_the_endpoint(
    endpoint: Endpoint,
) -> None:
    endpoint.chunks = (chunk("Hel", index=1),)
    async with started(endpoint) as backend:
        with pytest.raises(Internal, match="protocol"):
            await answer(backend, QUESTION)


async def test_an_endpoint_that_falls_silent_is_given_up(endpoint: Endpoint) -> None:
    endpoint.then_hang = True
    async with started(endpoint, endpoint_timeout_s=0.2) as backend:
        with pytest.raises(Unavailable):
            await answer(backend, QUESTION)


async def test_whoever_leaves_closes_the_stream(endpoint: Endpoint) -> None:
    endpoint.chunks, endpoint.then_hang = HELLO[:1], True
    async with started(endpoint) as backend:
        async with aclosing(backend.generate(await job_for(backend, QUESTION))) as events:
            await anext(events)
            assert backend.load.running == 1
        assert backend.load.running == 0
        await asyncio.wait_for(endpoint.left.wait(), 5)
        endpoint.left.clear()
        waiting = asyncio.create_task(answer(backend, QUESTION))
        await until(lambda: len(endpoint.asked) == 2)
        waiting.cancel()
        await asyncio.wait_for(endpoint.left.wait(), 5)


async def test_it_starts_only_on_an_endpoint_that_serves_its_model(endpoint: Endpoint) -> None:
    with pytest.raises(FailedPrecondition, match="--context-tokens"):
        async with started(endpoint, context_tokens=None):
            pass
    endpoint.card = {"id": "another", "owned_by": "vllm", "max_model_len": 512}
    with pytest.raises(NotFound, match="another"):
        async with started(endpoint):
            pass
    endpoint.card = {**endpoint.card, "id": MODEL}
    async with started(endpoint, context_tokens=None) as backend:
        assert backend.model
        assert backend.model.context_tokens == 512
    endpoint.url = "http://127.0.0.1:1/v1"
    with pytest.raises(Unavailable) as away:
        async with started(endpoint):
            pass
    assert away.value.reason is Reason.SERVICE_UNREACHABLE
