"""The form that an answer must have, and what is refused before anything compiles it.

What compiles forms takes time and memory with their size and with the counts in a schema: these are
bounded here, so that no form can hold up or fill the engine's processes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from groundmesh.errors import InvalidArgument
from groundmesh.server.checks import max_bytes, max_items, not_empty

MAX_FORM_BYTES = 16 * 1024
"""Of a schema, a grammar, or all choices together; compiled in 0.7 s at worst (measured)."""
MAX_REGEX_BYTES = 4 * 1024
MAX_CHOICES = 1_000
MAX_COUNT = 1_000
"""Of items or properties that a schema may count: a compiler may write each of them out."""
MAX_NESTING = 64
"""Of a schema; vLLM takes no more."""

_COUNTS = ("minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains")


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """JSON that a schema describes."""

    text: str


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression that the whole answer matches."""

    text: str


@dataclass(frozen=True, slots=True)
class Choices:
    """One of these texts."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a context-free grammar derives."""

    text: str


StructuredOutput = JsonSchema | Regex | Choices | Grammar

FIELDS = {
    JsonSchema: "json_schema",
    Regex: "regex",
    Choices: "choices.values",
    Grammar: "grammar",
}


def field_of(form: StructuredOutput, *, sampling: str) -> str:
    """The path of a form in the request whose sampling is the field ``sampling``."""
    return f"{sampling}.structured_output.{FIELDS[type(form)]}"


def check_structured(form: StructuredOutput, *, field: str) -> None:
    """InvalidArgument that names ``field`` for a form that is wrong or too large as it stands."""
    match form:
        case JsonSchema(text):
            max_bytes(text, field=field, limit=MAX_FORM_BYTES)
            _check_schema(text, field=field)
        case Regex(text):
            not_empty(text, field=field)
            max_bytes(text, field=field, limit=MAX_REGEX_BYTES)
        case Choices(values):
            _check_choices(values, field=field)
        case Grammar(text):
            not_empty(text, field=field)
            max_bytes(text, field=field, limit=MAX_FORM_BYTES)
            if "%json" in text:
                raise InvalidArgument.of_field(
                    field, "must hold no schema (%json); send it as json_schema"
                )


def _check_choices(values: tuple[str, ...], *, field: str) -> None:
    if not values:
        raise InvalidArgument.of_field(field, "must hold at least one text")
    max_items(len(values), field=field, limit=MAX_CHOICES)
    max_bytes("".join(values), field=field, limit=MAX_FORM_BYTES)
    for index, value in enumerate(values):
        if not value:
            raise InvalidArgument.of_field(f"{field}[{index}]", "must not be empty")


def _check_schema(text: str, *, field: str) -> None:
    try:
        schema = json.loads(text)
    except RecursionError:
        raise _nested_too_deep(field) from None
    except ValueError as error:
        raise InvalidArgument.of_field(field, f"is no JSON: {error}") from error
    if not isinstance(schema, dict):
        raise InvalidArgument.of_field(field, "must be a JSON object")
    for node in _objects(schema, field=field):
        for name in _COUNTS:
            count = node.get(name)
            if isinstance(count, int | float) and count > MAX_COUNT:
                raise InvalidArgument.of_field(
                    field, f"has {name} {count}, at most {MAX_COUNT} are taken"
                )


def _objects(schema: Any, *, field: str) -> Iterator[dict[str, Any]]:
    """Every JSON object in it, level by level."""
    level = [schema]
    for _ in range(MAX_NESTING):
        yield from (node for node in level if isinstance(node, dict))
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _nested_too_deep(field)


def _nested_too_deep(field: str) -> InvalidArgument:
    return InvalidArgument.of_field(
        field, f"is nested too deeply, at most {MAX_NESTING} levels are taken"
    )
