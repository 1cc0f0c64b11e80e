"""What every engine that generates makes of several answers, log probabilities and forms."""

import json
import re
from contextlib import aclosing, suppress
from dataclasses import replace

import pytest

from groundmesh.errors import InvalidArgument
from groundmesh_generator.backends.base import Backend, FinishReason
from groundmesh_generator.prompts import Prompt, TextPrompt
from groundmesh_generator.sampling import Sampling
from groundmesh_generator.structured import (
    Choices,
    Grammar,
    JsonSchema,
    Regex,
    StructuredOutput,
)
from tests.generator_backends import ENDLESS, GREEDY, LONG, QUESTION, answer, idle, job_for

pytestmark = pytest.mark.asyncio(loop_scope="session")

PERSON = JsonSchema(
    json.dumps(
        {
            "type": "object",
            "properties": {"name": {"enum": ["Ada", "Bob"]}, "age": {"type": "integer"}},
            "required": ["name", "age"],
            "additionalProperties": False,
        }
    )
)
PROMPTS: tuple[Prompt, ...] = (TextPrompt("My friend is"), QUESTION)


@pytest.fixture
def held(backend: Backend) -> Backend:
    """An engine that can be held to a form."""
    if backend.name == "paced":
        pytest.skip("its words are fixed")
    return backend


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_several_answers_are_told_apart(backend: Backend, prompt: Prompt) -> None:
    sampling = Sampling(n=3, temperature=1.0, seed=7)
    got = await answer(backend, prompt, sampling, max_tokens=12)
    assert {delta.index for delta in got.deltas} == {0, 1, 2}
    assert len(got.finished.reasons) == 3
    tokens = [sum(d.tokens for d in got.deltas if d.index == index) for index in range(3)]
    assert all(0 < count <= 12 for count in tokens)
    assert sum(tokens) <= got.finished.completion_tokens <= 36
    assert got.finished.prompt_tokens == len(await backend.encode(prompt, field="prompt"))
    texts = ["".join(d.text for d in got.deltas if d.index == index) for index in range(3)]
    if backend.name != "paced":
        assert len(set(texts)) > 1, "a seed each"


async def test_closing_several_answers_aborts_them_all(backend: Backend) -> None:
    job = await job_for(backend, ENDLESS, Sampling(n=4), max_tokens=LONG)
    async with aclosing(backend.generate(job)) as events:
        for _ in range(6):
            await anext(events)
    await idle(backend)


@pytest.mark.parametrize("likeliest", [0, 3])
@pytest.mark.parametrize("prompt", PROMPTS)
async def test_each_delta_has_the_log_probabilities_of_its_tokens(
    backend: Backend, prompt: Prompt, likeliest: int
) -> None:
    got = await answer(backend, prompt, replace(GREEDY, logprobs=likeliest), max_tokens=12)
    assert got.deltas
    for delta in got.deltas:
        assert len(delta.logprobs) == delta.tokens
        for token in delta.logprobs:
            assert token.chosen.logprob <= 0
            assert len(token.likeliest) <= likeliest
            values = [each.logprob for each in token.likeliest]
            assert values == sorted(values, reverse=True)
            if token.likeliest:
                assert token.chosen == token.likeliest[0], "greedy"
    assert "".join(t.chosen.text for d in got.deltas for t in d.logprobs).strip() == (
        got.text.strip()
    )


async def test_without_being_asked_for_there_are_none(backend: Backend) -> None:
    got = await answer(backend, QUESTION, max_tokens=4)
    assert all(delta.logprobs == () for delta in got.deltas)


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        (Regex(r"[A-Z][a-z]{2,8} [0-9]{4}"), r"[A-Z][a-z]{2,8} [0-9]{4}"),
        (Choices(("Paris", 'Lyon "and" Nice', "京都")), 'Paris|Lyon "and" Nice|京都'),
        (Grammar('root ::= "a" | "b" root'), "b*a"),
        (Grammar('start: "x" WORD\nWORD: /[yz]{1,5}/'), "x[yz]{1,5}"),
    ],
)
@pytest.mark.parametrize("prompt", PROMPTS)
async def test_an_answer_has_the_form_that_was_asked_for(
    held: Backend, prompt: Prompt, form: StructuredOutput, pattern: str
) -> None:
    sampling = Sampling(temperature=0.7, seed=3, structured_output=form)
    got = await answer(held, prompt, sampling, max_tokens=64)
    if got.finished.reasons == (FinishReason.STOP,):
        assert re.fullmatch(pattern, got.text), got.text


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_an_answer_follows_a_schema(held: Backend, prompt: Prompt) -> None:
    sampling = Sampling(temperature=0.0, structured_output=PERSON)
    got = await answer(held, prompt, sampling, max_tokens=128)
    if got.finished.reasons == (FinishReason.STOP,):
        person = json.loads(got.text)
        assert person["name"] in ("Ada", "Bob")
        assert isinstance(person["age"], int)


BAD_FORMS = [
    JsonSchema('{"type": "strng"}'),
    JsonSchema('{"$ref": "#/$defs/nowhere"}'),
    JsonSchema('{"$ref": "file:///etc/passwd"}'),
    JsonSchema('{"type": "number", "minimum": -1e300, "maximum": 1e300}'),
    JsonSchema('{"type": "object", "properties": {"a": {"pattern": "((("}}}'),
    Regex("((("),
    Regex("(?=a)b"),
    Regex("(" * 2000 + ")" * 2000),
    Grammar("start: nowhere"),
    Grammar("root ::= " + "(" * 5000 + ")" * 5000),
]


@pytest.mark.parametrize("form", BAD_FORMS, ids=lambda form: form.text[:24])
async def test_a_form_that_cannot_be_compiled_is_refused(held: Backend, form: Regex) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await answer(held, QUESTION, Sampling(structured_output=form))
    if held.name == "vllm":
        (violation,) = refused.value.fields
        assert violation.field.startswith("sampling.structured_output.")
    await held.check()
    assert (await answer(held, QUESTION, max_tokens=2)).text


HOSTILE_FORMS = [
    Regex("((a{1,1000}){1,1000}){1,1000}"),
    Regex("(a?){300}a{300}"),
    Regex("(.{0,100}a|.{0,100}b|.{0,100}c|.{0,100}d)*"),
    JsonSchema('{"$ref": "#"}'),
    JsonSchema(json.dumps({"anyOf": [{"type": "array", "minItems": 1000}] * 390})),
    JsonSchema(json.dumps({"enum": [[f"x{i}"] * 3 for i in range(700)]})),
    JsonSchema(json.dumps({"properties": {f"p{i}": {"pattern": ".*a.{50}"} for i in range(350)}})),
    Grammar('start: start start start | start start | "a" | ""'),
    Grammar('start: start "a"'),
    Grammar('start: x{100000}\nx: "a"{1,100000}'),
    Grammar("start: A\nA: /.*a.{50}/ & /.*b.{60}/ & /.*c.{70}/ & ~/.*dd.*/"),
]


@pytest.mark.slow
@pytest.mark.parametrize("form", HOSTILE_FORMS, ids=lambda form: form.text[:24])
async def test_a_hostile_form_harms_nobody_else(held: Backend, form: Regex) -> None:
    """It is refused, or answered as well as its limits allow; others go on."""
    with suppress(InvalidArgument):
        await answer(held, QUESTION, Sampling(structured_output=form, seed=1), max_tokens=16)
    await held.check()
    assert (await answer(held, QUESTION, max_tokens=2)).text
    await idle(held)


async def test_a_seed_holds_for_a_prompt_that_is_read_in_steps(backend: Backend) -> None:
    if backend.name == "openai":
        pytest.skip("the server that this test would ask, vLLM 0.32.0 on a CPU, dies of it")
    prompt = TextPrompt("One after the other they came down to the harbour. " * 40)
    drawn = Sampling(temperature=1.0, seed=7)
    first, second = [await answer(backend, prompt, drawn, max_tokens=16) for _ in range(2)]
    assert first.text == second.text
    assert (await answer(backend, QUESTION)).text
