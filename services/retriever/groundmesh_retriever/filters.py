"""The filter that a search may carry: a small tree over the documents' metadata.

A comparison looks at one field and at values of one kind (string, number or truth value). A field
of another kind never equals, and is never less or greater than, a value; a document without the
field fulfils no comparison, ``NOT_EQUAL`` included.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from groundmesh.errors import InvalidArgument
from groundmesh_retriever.model import Scalar

MAX_DEPTH = 8
"""The deepest nesting."""
MAX_ITEMS = 100
"""The most filters of a list, and the most values of IN."""
MAX_PARTS = 500
"""The most values and lists of a whole filter."""
MAX_VALUE_BYTES = 4_096
"""The longest string of a comparison, in UTF-8."""

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Operator(Enum):
    """How a field is compared."""

    EQUAL = "EQUAL"
    NOT_EQUAL = "NOT_EQUAL"
    LESS = "LESS"
    LESS_OR_EQUAL = "LESS_OR_EQUAL"
    GREATER = "GREATER"
    GREATER_OR_EQUAL = "GREATER_OR_EQUAL"
    IN = "IN"


ORDERING = frozenset(
    {Operator.LESS, Operator.LESS_OR_EQUAL, Operator.GREATER, Operator.GREATER_OR_EQUAL}
)
"""The operators that ask for an order; truth values have none."""


@dataclass(frozen=True)
class Comparison:
    """A metadata field against one value, or with IN against several."""

    field: str
    operator: Operator
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class AllOf:
    """Every one of these."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one of these."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True)
class NoneOf:
    """None of these."""

    filters: tuple["Filter", ...]


Filter: TypeAlias = Comparison | AllOf | AnyOf | NoneOf

_LISTS = {AllOf: "all_of", AnyOf: "any_of", NoneOf: "none_of"}


def is_field(name: str) -> bool:
    """Whether ``name`` may be a metadata field."""
    return _FIELD.fullmatch(name) is not None


def check(root: Filter, *, field: str) -> None:
    """Raise InvalidArgument that names the wrong part of a filter found at ``field``."""
    parts = 0
    pending: list[tuple[Filter, str, int]] = [(root, field, 1)]
    while pending:
        node, path, depth = pending.pop()
        parts += len(node.values) if isinstance(node, Comparison) else 1
        if depth > MAX_DEPTH or parts > MAX_PARTS:
            raise InvalidArgument.of_field(
                field, f"at most {MAX_DEPTH} levels, and {MAX_PARTS} values and lists"
            )
        pending.extend((child, at, depth + 1) for child, at in _children(node, path))
        if isinstance(node, Comparison):
            _check_comparison(node, f"{path}.comparison")


def _children(node: Filter, path: str) -> Iterable[tuple[Filter, str]]:
    match node:
        case Comparison():
            return ()
        case AllOf(filters) | AnyOf(filters) | NoneOf(filters):
            at = f"{path}.{_LISTS[type(node)]}.filters"
            if not 1 <= len(filters) <= MAX_ITEMS:
                raise InvalidArgument.of_field(at, f"1 to {MAX_ITEMS} filters")
            return [(child, f"{at}[{i}]") for i, child in enumerate(filters)]


def _check_comparison(node: Comparison, path: str) -> None:
    if not is_field(node.field):
        raise InvalidArgument.of_field(
            f"{path}.field", "1 to 64 of letters, digits and _, not beginning with a digit"
        )
    most = MAX_ITEMS if node.operator is Operator.IN else 1
    at = f"{path}.values"
    if not 1 <= len(node.values) <= most:
        raise InvalidArgument.of_field(at, f"1 to {most} values" if most > 1 else "one value")
    if len({type(value) for value in node.values}) > 1:
        raise InvalidArgument.of_field(at, "strings, numbers or booleans, not a mixture")
    if node.operator in ORDERING and isinstance(node.values[0], bool):
        raise InvalidArgument.of_field(at, "booleans have no order")
    for i, value in enumerate(node.values):
        check_scalar(value, field=f"{at}[{i}]")


def check_scalar(value: Scalar, *, field: str) -> None:
    """Raise InvalidArgument for a value that no store could keep or compare."""
    if isinstance(value, str) and len(value.encode()) > MAX_VALUE_BYTES:
        raise InvalidArgument.of_field(field, f"at most {MAX_VALUE_BYTES} bytes")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgument.of_field(field, "must be a finite number")
