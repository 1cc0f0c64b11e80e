"""What every engine that generates must do: a fake, vLLM here, and vLLM behind an endpoint."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from groundmesh_generator.backends.base import (
    Adapter,
    Backend,
    Delta,
    FinishReason,
    GenerationJob,
    Priority,
)
from groundmesh_generator.prompts import TextPrompt
from groundmesh_generator.sampling import Sampling
from tests.adapter_files import pair, write_adapter
from tests.generator_backends import ENDLESS, LONG, QUESTION, Answer, answer, idle, job_for
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_is_alive_and_knows_its_model(backend: Backend) -> None:
    await backend.check()
    assert backend.model is not None
    assert backend.model.name
    assert backend.model.context_tokens > LONG


@pytest.mark.parametrize("text", ["one", "several words of text", "Äpfel 🍏 東京", "a\n\n  b"])
async def test_its_tokenizer_file_counts_as_it_does(backend: Backend, text: str) -> None:
    tokenizer = Tokenizer.from_str(backend.tokenizer.json.decode())
    counted = await backend.encode(TextPrompt(text), field="prompt")
    assert len(tokenizer.encode(text).ids) == len(counted)


async def test_a_conversation_takes_more_tokens_than_its_text(backend: Backend) -> None:
    text = QUESTION.messages[0].content
    chat = await backend.encode(QUESTION, field="prompt")
    assert len(chat) > len(await backend.encode(TextPrompt(text), field="prompt"))
    assert list(chat) == list(await backend.encode(QUESTION, field="prompt"))


async def test_deltas_come_as_they_are_made_and_add_up(backend: Backend) -> None:
    job = await job_for(backend, QUESTION, max_tokens=24)
    moments, tokens = [], 0
    async for event in backend.generate(job):
        moments.append(time.monotonic())
        if isinstance(event, Delta):
            assert event.text
            tokens += event.tokens
        else:
            assert tokens <= event.completion_tokens <= 24
            assert event.prompt_tokens == len(job.token_ids)
    assert len(moments) > 3
    assert moments[-2] - moments[0] > 0.01, "they came all at once"


async def test_it_stops_at_max_tokens(backend: Backend) -> None:
    cut = await answer(backend, TextPrompt("1 2 3 4 5 6 7 8"), max_tokens=3)
    assert cut.finished.reasons == (FinishReason.LENGTH,)
    assert cut.finished.completion_tokens == 3


async def test_timings_are_of_this_generation(backend: Backend) -> None:
    before = time.monotonic()
    timed = (await answer(backend, QUESTION, max_tokens=8)).finished.timings
    total = timed.queue_s + timed.prefill_s + timed.decode_s
    assert 0 < total <= time.monotonic() - before
    assert min(timed.queue_s, timed.prefill_s, timed.decode_s) >= 0


async def test_a_stop_text_ends_the_answer_and_no_part_of_it_is_sent(backend: Backend) -> None:
    whole = await answer(backend, QUESTION)
    middle = len(whole.text) // 2
    stop = whole.text[middle : middle + 5]
    stopped = await answer(backend, QUESTION, Sampling(temperature=0.0, stop=(stop, "never said")))
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.finished.reasons == (FinishReason.STOP,)


async def test_a_seed_repeats_an_answer(backend: Backend) -> None:
    sampling = Sampling(temperature=1.0, top_p=0.95, top_k=50, min_p=0.01, seed=11)
    first = await answer(backend, QUESTION, sampling)
    assert (await answer(backend, QUESTION, sampling)).text == first.text


async def test_every_sampling_parameter_is_taken(backend: Backend) -> None:
    sampling = Sampling(
        temperature=0.7,
        top_p=0.9,
        top_k=20,
        min_p=0.05,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        repetition_penalty=1.1,
        seed=2**63 - 1,
    )
    assert (await answer(backend, QUESTION, sampling, max_tokens=4)).finished.completion_tokens > 0


async def test_only_whole_characters_are_sent(backend: Backend) -> None:
    fruit = TextPrompt("🍎🍐🍊🍋🍌🍉🍇🍓🫐🍈🍒🍑🥭🍍🥥🥝🍅 " * 6 + "🍎🍐🍊🍋")
    eaten = await answer(backend, fruit, max_tokens=40)
    assert any(ord(character) > 0xFFFF for character in eaten.text)
    assert "\ufffd" not in eaten.text


async def test_many_at_once_run_together_and_are_all_answered(backend: Backend) -> None:
    async def one(number: int) -> Answer:
        prompt = TextPrompt(f"{number} is a number, and")
        return await answer(backend, prompt, max_tokens=64, priority=Priority(number % 2))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(12)]
        await until(lambda: backend.load.running > 1, within_s=30)
    assert all(task.result().finished.completion_tokens for task in tasks)
    await idle(backend)


@pytest.mark.parametrize("deltas_before", [0, 1, 5])
async def test_closing_a_generation_aborts_it(backend: Backend, deltas_before: int) -> None:
    job = await job_for(backend, ENDLESS, max_tokens=LONG)
    async with aclosing(backend.generate(job)) as events:
        for _ in range(deltas_before):
            await anext(events)
    await idle(backend)


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.01, 0.1, 0.3])
async def test_cancelling_a_generation_aborts_it(backend: Backend, after_s: float) -> None:
    async def run(job: GenerationJob) -> None:
        async with aclosing(backend.generate(job)) as events:
            async for _ in events:
                pass

    jobs = [await job_for(backend, ENDLESS, max_tokens=LONG) for _ in range(4)]
    tasks = [asyncio.create_task(run(job)) for job in jobs]
    await asyncio.sleep(after_s)
    for task in tasks:
        task.cancel()
    results: Sequence[object] = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    await idle(backend)
    await backend.check()


async def test_an_adapter_is_loaded_beside_what_runs_and_unloaded(
    backend: Backend, tmp_path: Path
) -> None:
    if not backend.takes_adapters:
        pytest.skip("this engine takes no adapters")
    shapes = pair("model.layers.0.self_attn.q_proj", outputs=576, inputs=576)
    # Of zeros: it changes nothing.
    adapter = Adapter("zeros", 1, str(write_adapter(tmp_path, shapes)))
    job = await job_for(backend, ENDLESS, max_tokens=LONG)
    plain = await answer(backend, QUESTION)
    async with aclosing(backend.generate(job)) as events:
        await anext(events)
        await backend.load_adapter(adapter)
        tuned = replace(await job_for(backend, QUESTION), adapter=adapter)
        said = [event.text async for event in backend.generate(tuned) if isinstance(event, Delta)]
        assert "".join(said) == plain.text
        await backend.unload_adapter(adapter)
        assert isinstance(await anext(events), Delta)
    await idle(backend)
    await backend.check()
