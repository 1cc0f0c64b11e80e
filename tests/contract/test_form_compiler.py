"""What compiles the forms of answers, on the default model's tokenizer and without the engine."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from groundmesh.errors import InvalidArgument
from groundmesh.models import resolve_model
from groundmesh_generator.backends.vllm_forms import FormCompiler
from groundmesh_generator.structured import (
    Choices,
    Grammar,
    JsonSchema,
    Regex,
    StructuredOutput,
)
from tests.generation_models import smollm2

PERSON = JsonSchema(json.dumps({"type": "object", "properties": {"age": {"type": "integer"}}}))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(resolve_model(smollm2()).path)


@pytest.fixture(scope="module")
def compiler(tokenizer: Any) -> Iterator[FormCompiler]:
    compiler = FormCompiler(tokenizer, vocabulary=len(tokenizer))
    yield compiler
    compiler.close()


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (PERSON, '{"age": 7}', '{"age": 7'),
        (Regex("[a-c]{3,5}"), "abcab", "ab"),
        (Choices(("yes", 'no "way"')), 'no "way"', "no"),
        (Grammar('root ::= "a" | "b" root'), "bba", "bb"),
        (Grammar("start: A+\nA: /[x-z]/"), "xyz", ""),
    ],
)
async def test_an_answer_is_told_from_one_that_was_cut_short(
    compiler: FormCompiler, tokenizer: Any, *, form: StructuredOutput, good: str, bad: str
) -> None:
    await compiler.check(form, field="form")
    whole, cut = (tokenizer.encode(text, add_special_tokens=False) for text in (good, bad))
    await compiler.check_kept(form, [whole, whole], field="form")
    with pytest.raises(InvalidArgument, match="too complex"):
        await compiler.check_kept(form, [whole, cut], field="form")


@pytest.mark.parametrize(
    "form",
    [
        Regex("((("),
        Regex("(?=a)b"),
        Regex("[^\\s\\S]"),
        Regex("(" * 2000 + ")" * 2000),
        JsonSchema('{"type": "strng"}'),
        JsonSchema('{"$ref": "#"}'),
        JsonSchema('{"$ref": "#/$defs/nowhere"}'),
        JsonSchema('{"$ref": "file:///etc/passwd"}'),
        JsonSchema('{"$ref": "http://127.0.0.1:1/"}'),
        Grammar("start: nowhere"),
        Grammar('start: start "a"'),
        Grammar("root ::= " + "(" * 5000 + ")" * 5000),
        Grammar("start: A\nA: /.*a.{50}/ & /.*b.{60}/ & /.*c.{70}/ & ~/.*dd.*/"),
    ],
    ids=lambda form: form.text[:24],
)
async def test_a_form_that_no_answer_can_have_is_refused(
    compiler: FormCompiler, form: StructuredOutput
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await compiler.check(form, field="form")
    assert [each.field for each in refused.value.fields] == ["form"]
    assert "\n" not in refused.value.message
