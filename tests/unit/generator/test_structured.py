"""Which forms of an answer are refused as they stand, before anything compiles them."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundmesh.errors import InvalidArgument
from groundmesh_generator.structured import (
    MAX_CHOICES,
    MAX_COUNT,
    MAX_FORM_BYTES,
    MAX_NESTING,
    MAX_REGEX_BYTES,
    Choices,
    Grammar,
    JsonSchema,
    Regex,
    StructuredOutput,
    check_structured,
    field_of,
)


def nested(levels: int) -> str:
    return '{"not":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (JsonSchema(""), "json_schema"),
        (JsonSchema("{"), "json_schema"),
        (JsonSchema("[]"), "json_schema"),
        (JsonSchema("true"), "json_schema"),
        (JsonSchema(nested(MAX_NESTING + 1)), "json_schema"),
        (JsonSchema('{"a":' * 3000), "json_schema"),
        (JsonSchema(json.dumps({"title": "x" * MAX_FORM_BYTES})), "json_schema"),
        (JsonSchema(json.dumps({"minItems": MAX_COUNT + 1})), "json_schema"),
        (JsonSchema(json.dumps({"anyOf": [{"maxProperties": 1e300}]})), "json_schema"),
        (Regex(""), "regex"),
        (Regex("a" * (MAX_REGEX_BYTES + 1)), "regex"),
        (Choices(()), "choices.values"),
        (Choices(("a", "")), "choices.values[1]"),
        (Choices(("a",) * (MAX_CHOICES + 1)), "choices.values"),
        (Choices(("a" * MAX_FORM_BYTES, "b")), "choices.values"),
        (Grammar(" "), "grammar"),
        (Grammar("x" * (MAX_FORM_BYTES + 1)), "grammar"),
        (Grammar('start: %json {"minItems": 1000000000}'), "grammar"),
    ],
)
def test_a_wrong_form_is_refused_by_its_field(form: StructuredOutput, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_structured(form, field=field_of(form, sampling="s"))
    assert [each.field for each in refused.value.fields] == [f"s.structured_output.{field}"]


@pytest.mark.parametrize(
    "form",
    [
        JsonSchema("{}"),
        JsonSchema(nested(MAX_NESTING)),
        JsonSchema(json.dumps({"items": {"maxItems": MAX_COUNT}})),
        Regex("a" * MAX_REGEX_BYTES),
        Choices(("a",) * MAX_CHOICES),
        Grammar('root ::= "a"'),
    ],
)
def test_what_is_at_a_limit_is_taken(form: StructuredOutput) -> None:
    check_structured(form, field="form")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(json.dumps)
)
def test_any_json_is_taken_or_refused_in_words(text: str) -> None:
    with suppress(InvalidArgument):
        check_structured(JsonSchema(text), field="form")
