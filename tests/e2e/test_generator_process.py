"""The generator as a process, with vLLM and a real model."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import grpc.aio
import psutil
import pytest
import pytest_asyncio
from tokenizers import Tokenizer

from groundmesh.channel import translated
from groundmesh.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Reason,
    ResourceExhausted,
)
from groundmesh.v1.generator_pb2 import (
    FINISH_REASON_LENGTH,
    FINISH_REASON_STOP,
    ROLE_USER,
    ChatMessage,
    ChatPrompt,
    CountTokensRequest,
    GenerateRequest,
    GeneratorServiceGetTokenizerRequest,
    GeneratorServiceListModelsRequest,
    Prompt,
    Sampling,
)
from tests.generator_process import (
    ENDLESS,
    Client,
    assert_gone,
    children_of,
    command_of,
    endless,
    generator_client,
)

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with generator_client(tmp_path_factory.mktemp("generator")) as client:
        yield client


def chat(text: str) -> Prompt:
    return Prompt(chat=ChatPrompt(messages=[ChatMessage(role=ROLE_USER, content=text)]))


CAPITAL = chat("What is the capital of France?")


async def test_it_answers_sensibly_and_says_what_it_took(client: Client) -> None:
    request = GenerateRequest(prompt=CAPITAL, sampling=Sampling(temperature=0, max_tokens=30))
    text, last = await client.answer(request)
    assert "Paris" in text
    assert last.final.finish_reason == FINISH_REASON_STOP
    assert last.final.usage.prompt_tokens > 10
    assert last.final.usage.completion_tokens > 3
    assert last.final.decode_duration.ToMilliseconds() > 0


async def test_text_comes_as_it_is_made(client: Client) -> None:
    moments: list[float] = []
    call = client.generator.Generate(endless(), timeout=60)
    async for event in call:
        if event.HasField("delta"):
            moments.append(time.monotonic())
        if len(moments) == 30:
            break
    call.cancel()
    assert moments[-1] - moments[0] > 0.1
    assert len(set(moments)) == 30
    await client.idle_after_s(limit_s=2)


async def test_stop_seed_and_length(client: Client) -> None:
    stopped = Sampling(temperature=0, stop=["Paris"], max_tokens=30)
    text, last = await client.answer(GenerateRequest(prompt=CAPITAL, sampling=stopped))
    assert "Paris" not in text
    assert last.final.finish_reason == FINISH_REASON_STOP
    seeded = Sampling(temperature=1, seed=5, max_tokens=12)
    first = await client.answer(GenerateRequest(prompt=ENDLESS, sampling=seeded))
    second = await client.answer(GenerateRequest(prompt=ENDLESS, sampling=seeded))
    assert first[0] == second[0]
    assert first[1].final.finish_reason == FINISH_REASON_LENGTH
    assert first[1].final.usage.completion_tokens == 12


async def test_a_prefix_that_was_read_before_is_not_read_again(client: Client) -> None:
    prompt = Prompt(text=f"{random.random()} " + "The mesh answers questions from documents. " * 60)
    request = GenerateRequest(prompt=prompt, sampling=Sampling(max_tokens=1))
    _, first = await client.answer(request)
    _, second = await client.answer(request)
    assert first.final.usage.cached_prompt_tokens == 0
    assert second.final.usage.cached_prompt_tokens >= 256


async def test_it_counts_as_it_reads_and_as_its_tokenizer_does(client: Client) -> None:
    prompts = [CAPITAL, ENDLESS, Prompt(text="Äpfel 🍏 東京")]
    counted = await client.generator.CountTokens(CountTokensRequest(prompts=prompts), timeout=10)
    for prompt, count in zip(prompts, counted.token_counts, strict=True):
        request = GenerateRequest(prompt=prompt, sampling=Sampling(max_tokens=1))
        _, last = await client.answer(request)
        assert last.final.usage.prompt_tokens == count
    handed = await client.generator.GetTokenizer(GeneratorServiceGetTokenizerRequest(), timeout=10)
    tokenizer = Tokenizer.from_str(handed.tokenizer_json.decode())
    assert [len(tokenizer.encode(prompt.text).ids) for prompt in prompts[1:]] == list(
        counted.token_counts[1:]
    )
    assert "<|im_start|>" in handed.chat_template


async def test_it_says_what_it_serves(client: Client) -> None:
    listed = await client.generator.ListModels(GeneratorServiceListModelsRequest(), timeout=10)
    (model,) = listed.models
    assert model.model == "SmolLM2-135M-Instruct"
    assert len(model.revision) >= 8
    assert model.context_tokens == 4096
    info = await client.info()
    assert (info.engine, info.ready, list(info.models)) == ("vllm", True, [model.model])
    assert info.engine_version


async def test_what_cannot_be_served_is_refused_by_name(client: Client) -> None:
    with pytest.raises(NotFound) as unknown:
        await client.answer(GenerateRequest(model="gpt-9", prompt=CAPITAL))
    assert unknown.value.reason is Reason.MODEL_NOT_FOUND
    with pytest.raises(InvalidArgument) as long:
        await client.answer(GenerateRequest(prompt=Prompt(text="word " * 5000)))
    assert long.value.reason is Reason.INPUT_TOO_LONG
    assert long.value.metadata["context_tokens"] == "4096"
    assert await client.engine_load() == 0


async def test_a_caller_that_leaves_frees_the_engine(client: Client) -> None:
    call = client.generator.Generate(endless(), timeout=60)
    await client.busy()
    call.cancel()
    took_s = await client.idle_after_s(limit_s=5)
    print(f"freed after {took_s * 1000:.0f} ms")  # noqa: T201 - a measurement


async def test_a_caller_that_leaves_while_its_prompt_is_read_frees_the_engine(
    client: Client,
) -> None:
    text = f"{random.random()} " + "word " * 3500
    request = GenerateRequest(prompt=Prompt(text=text), sampling=Sampling(max_tokens=100))
    call = client.generator.Generate(request, timeout=60)
    await client.busy()
    call.cancel()
    took_s = await client.idle_after_s(limit_s=10)
    print(f"freed after {took_s * 1000:.0f} ms")  # noqa: T201 - a measurement


async def test_the_engine_core_sleeps_while_its_worker_computes(client: Client) -> None:
    """vLLM's own way is to ask again and again, which takes a core from all others."""
    core, worker = (
        next(child for child in children_of(client.service) if name in command_of(child))
        for name in ("VLLM::EngineCore", "VLLM::Worker")
    )
    call = client.generator.Generate(endless(), timeout=60)
    await client.busy()
    before = [sum(process.cpu_times()[:2]) for process in (core, worker)]
    for _ in range(30):
        await call.read()
    core_s, worker_s = (
        sum(process.cpu_times()[:2]) - began
        for process, began in zip((core, worker), before, strict=True)
    )
    call.cancel()
    assert core_s < worker_s / 2
    await client.idle_after_s(limit_s=5)


async def test_a_call_that_cannot_be_in_time_is_refused_at_once(client: Client) -> None:
    text = " ".join(str(random.randrange(10)) for _ in range(1900))
    with pytest.raises(ResourceExhausted) as refused:
        await client.answer(GenerateRequest(prompt=Prompt(text=text)), timeout=0.4)
    assert refused.value.retry_after_s
    assert await client.engine_load() == 0


async def test_the_prefix_caches_hits_are_in_its_load(client: Client) -> None:
    before = (await client.info()).load
    request = GenerateRequest(
        prompt=Prompt(text=f"{random.random()} " + "The constant part comes first. " * 60),
        sampling=Sampling(max_tokens=1),
    )
    for _ in range(2):
        await client.answer(request)
    after = (await client.info()).load
    read = after["prompt_tokens"] - before["prompt_tokens"]
    cached = after["cached_prompt_tokens"] - before["cached_prompt_tokens"]
    assert 0.3 < cached / read < 0.5
    assert 0 < after["prefix_cache_hit_rate"] < 1


async def test_a_deadline_that_passes_frees_the_engine(client: Client) -> None:
    with pytest.raises(DeadlineExceeded), translated("generator"):
        async for _ in client.generator.Generate(endless(), timeout=0.7):
            pass
    await client.idle_after_s(limit_s=5)


async def test_a_hundred_callers_who_leave_leave_nothing(client: Client) -> None:
    pick, at_once = random.Random(4), asyncio.Semaphore(16)
    process = psutil.Process(client.service.process.pid)

    async def leave() -> None:
        async with at_once:
            call = client.generator.Generate(endless(), timeout=60)
            await asyncio.sleep(pick.random() * 0.4)
            call.cancel()
            await asyncio.wait([asyncio.ensure_future(call.code())])

    await asyncio.gather(*(leave() for _ in range(20)))
    await client.idle_after_s(limit_s=10)
    before = (process.num_fds(), process.num_threads())
    await asyncio.gather(*(leave() for _ in range(100)))
    await client.idle_after_s(limit_s=10)
    assert (process.num_fds(), process.num_threads()) <= before
    text, _ = await client.answer(
        GenerateRequest(prompt=CAPITAL, sampling=Sampling(temperature=0, max_tokens=30))
    )
    assert "Paris" in text


async def test_killed_at_work_it_leaves_no_process(client: Client) -> None:
    """The last test of this process."""
    call = client.generator.Generate(endless(), timeout=60)
    await client.busy()
    children = children_of(client.service)
    assert len(children) >= 2
    client.service.process.kill()
    await assert_gone(children)
    with pytest.raises(grpc.aio.AioRpcError):
        async for _ in call:
            pass
