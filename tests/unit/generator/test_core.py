"""The core, over an engine without a model."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import pytest

from groundmesh.deadline import within
from groundmesh.errors import (
    Internal,
    InvalidArgument,
    NotFound,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh_generator.backends.base import Delta, Finished, FinishReason, GenerationJob
from groundmesh_generator.core import MAX_PROMPTS, Generator, GeneratorOptions, Started
from groundmesh_generator.prompts import ChatPrompt, Message, Prompt, Role, TextPrompt
from groundmesh_generator.sampling import Sampling
from tests.fakes.paced_generator import MODEL, PacedBackend
from tests.waiting import until

PROMPT = TextPrompt("one two three")
DEFAULT = Sampling()


@pytest.fixture
async def backend() -> PacedBackend:
    return PacedBackend()


@pytest.fixture
async def generator(backend: PacedBackend) -> Generator:
    generator = Generator(backend, GeneratorOptions(max_output_tokens=20))
    await generator.start()
    backend.jobs.clear()
    return generator


async def events_of(
    generator: Generator, prompt: Prompt = PROMPT, sampling: Sampling = DEFAULT
) -> list[Started | Delta | Finished]:
    return [event async for event in generator.generate(prompt, sampling)]


async def test_it_is_ready_only_once_a_token_was_generated() -> None:
    backend = PacedBackend(first_token_s=0.05)
    generator = Generator(backend)
    starting = asyncio.create_task(generator.start())
    await until(lambda: backend.load.running == 1)
    assert not starting.done()
    await starting
    assert [job.max_tokens for job in backend.jobs] == [1]


async def test_it_does_not_start_on_an_engine_that_generates_nothing() -> None:
    class Mute(PacedBackend):
        async def generate(self, job: GenerationJob) -> AsyncGenerator[Delta | Finished, None]:
            if job.max_tokens < 0:
                yield Delta("", 0)

    with pytest.raises(Internal):
        await Generator(Mute()).start()


async def test_before_the_start_it_can_say_who_it_is_but_not_serve() -> None:
    generator = Generator(PacedBackend())
    assert generator.describe().models == ()
    assert generator.describe().engine == "paced"
    with pytest.raises(Unavailable) as early:
        generator.require_model()
    assert early.value.reason is Reason.NOT_READY


async def test_started_then_deltas_then_finished(generator: Generator) -> None:
    started, *deltas, finished = await events_of(generator, sampling=Sampling(max_tokens=5))
    assert started == Started(MODEL, 3)
    assert [type(delta) for delta in deltas] == [Delta] * 5
    assert isinstance(finished, Finished)
    assert finished.reasons == (FinishReason.LENGTH,)


async def test_max_tokens_is_bounded_by_the_setting(
    generator: Generator, backend: PacedBackend
) -> None:
    await events_of(generator)
    assert backend.jobs[0].max_tokens == 20
    with pytest.raises(InvalidArgument):
        await events_of(generator, sampling=Sampling(max_tokens=21))


async def test_every_job_has_an_id_of_its_own(generator: Generator, backend: PacedBackend) -> None:
    await asyncio.gather(*(events_of(generator) for _ in range(10)))
    assert len({job.id for job in backend.jobs}) == 10


async def test_an_unknown_model_is_not_found(generator: Generator) -> None:
    with pytest.raises(NotFound) as unknown:
        generator.require_model("gpt-9")
    assert unknown.value.reason is Reason.MODEL_NOT_FOUND
    assert generator.require_model(MODEL) == generator.require_model()


async def test_a_prompt_that_fills_the_window_is_refused_before_the_engine(
    generator: Generator, backend: PacedBackend
) -> None:
    with pytest.raises(InvalidArgument) as long:
        await events_of(generator, TextPrompt("word " * 4096))
    assert long.value.reason is Reason.INPUT_TOO_LONG
    assert backend.jobs == []


async def test_closing_early_ends_the_work(generator: Generator, backend: PacedBackend) -> None:
    backend.token_s = 0.01
    async with aclosing(generator.generate(PROMPT, Sampling())) as events:
        assert isinstance(await anext(events), Started)
        assert backend.load.running == 0, "nothing runs before the caller has heard of it"
        assert isinstance(await anext(events), Delta)
        assert generator.describe().load["running_requests"] == 1
    assert set(generator.describe().load.values()) == {0}


async def test_load_tells_what_the_prefix_cache_saved(
    generator: Generator, backend: PacedBackend
) -> None:
    backend.cached_tokens = 1
    await events_of(generator)
    load = generator.describe().load
    assert (load["prompt_tokens"], load["cached_prompt_tokens"]) == (3, 1)
    assert load["prefix_cache_hit_rate"] == pytest.approx(1 / 3)


async def test_a_prompt_waits_until_its_first_token(
    generator: Generator, backend: PacedBackend
) -> None:
    backend.first_token_s = 0.05
    async with aclosing(generator.generate(PROMPT, Sampling())) as events:
        await anext(events)
        assert generator.describe().load["waiting_prompt_tokens"] == 3
        await anext(events)
        assert generator.describe().load["waiting_prompt_tokens"] == 0


async def test_a_call_whose_time_is_too_short_is_refused_before_the_engine(
    generator: Generator, backend: PacedBackend
) -> None:
    backend.first_token_s = 0.2
    await events_of(generator, TextPrompt("one " * 100))
    backend.jobs.clear()
    for _ in range(2):  # what was refused was not read, so trying again is no faster
        with within(0.05), pytest.raises(ResourceExhausted) as refused:
            await events_of(generator, TextPrompt("two " * 3000))
        assert refused.value.retry_after_s
    assert backend.jobs == []


async def test_a_time_that_an_engine_may_have_waited_in_says_nothing_of_its_speed() -> None:
    class Elsewhere(PacedBackend):
        async def generate(self, job: GenerationJob) -> AsyncGenerator[Delta | Finished, None]:
            async for event in super().generate(job):
                if isinstance(event, Finished):
                    yield replace(event, timings=replace(event.timings, knows_queue=False))
                else:
                    yield event

    generator = Generator(Elsewhere(first_token_s=0.2), GeneratorOptions(max_output_tokens=1))
    await generator.start()
    await events_of(generator, TextPrompt("one " * 100))
    with within(0.05):
        await events_of(generator, TextPrompt("two " * 3000))


async def test_counts_are_those_of_the_engine(generator: Generator) -> None:
    chat = ChatPrompt((Message(Role.USER, "two words"),))
    assert await generator.count_tokens([PROMPT, chat]) == [3, 6]


@pytest.mark.parametrize(
    ("prompts", "field"),
    [
        ([], "prompts"),
        ([PROMPT] * (MAX_PROMPTS + 1), "prompts"),
        ([PROMPT, TextPrompt("")], "prompts[1].text"),
    ],
)
async def test_wrong_prompts_to_count_are_named(
    generator: Generator, prompts: list[Prompt], field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await generator.count_tokens(prompts)
    assert [violation.field for violation in refused.value.fields] == [field]


async def test_a_dead_engine_is_noticed(generator: Generator, backend: PacedBackend) -> None:
    await generator.check()
    backend.die()
    with pytest.raises(Unavailable) as dead:
        await generator.check()
    assert dead.value.reason is Reason.ENGINE_DEAD
