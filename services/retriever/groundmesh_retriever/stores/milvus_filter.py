"""The one place that writes Milvus filter expressions, so that no value can become syntax.

Milvus Lite refuses filter templates, hence literals. Metadata is stored under keys that carry the
kind of their value (``s_lang``, ``n_year``, ``b_public``). Stores disagree on comparisons between
kinds and on absent fields (null is not false to Milvus Lite); with such keys, and with ``exists``
before every comparison, none of them is asked such a question.
"""

from collections.abc import Iterable, Mapping

from groundmesh_retriever.filters import AllOf, AnyOf, Comparison, Filter, NoneOf, Operator
from groundmesh_retriever.model import Scalar
from groundmesh_retriever.stores.base import Scope

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_KINDS = {str: "s", float: "n", bool: "b"}
_SYMBOLS = {
    Operator.LESS: "<",
    Operator.LESS_OR_EQUAL: "<=",
    Operator.GREATER: ">",
    Operator.GREATER_OR_EQUAL: ">=",
}


def metadata_field(metadata: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """A document's metadata as it is stored beside its chunks."""
    return {_key(field, value): value for field, value in metadata.items()}


def scope_expression(scope: Scope) -> str:
    """The filter of a search: tenant and reader labels always, then what the caller asks."""
    parts = [f"tenant == {literal(scope.tenant)}"]
    if scope.labels is not None:
        held = ", ".join(literal(label) for label in sorted(scope.labels))
        parts.append(f"array_contains_any(labels, [{held}])")
    if scope.filter is not None:
        parts.append(_expression(scope.filter))
    return " and ".join(parts)


def keys_expression(keys: Iterable[str]) -> str:
    """The filter that picks chunks by their keys."""
    return f"key in [{', '.join(literal(key) for key in keys)}]"


def literal(value: Scalar) -> str:
    """A value as Milvus reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return f'"{value.translate(_ESCAPES)}"'


def _expression(node: Filter) -> str:
    match node:
        case Comparison():
            return f"({_comparison(node)})"
        case AllOf(filters):
            return _joined("and", list(map(_expression, filters)))
        case AnyOf(filters):
            return _joined("or", list(map(_expression, filters)))
        case NoneOf(filters):
            return f"(not {_joined('or', list(map(_expression, filters)))})"


def _comparison(node: Comparison) -> str:
    path = _path(_key(node.field, node.values[0]))
    if symbol := _SYMBOLS.get(node.operator):
        return f"{_exists(path)} and {path} {symbol} {literal(node.values[0])}"
    # Milvus Lite has no IN for a path into JSON.
    equal = _joined("or", [f"{path} == {literal(value)}" for value in node.values])
    found = f"{_exists(path)} and {equal}"
    if node.operator is not Operator.NOT_EQUAL:
        return found
    kinds = [_exists(_path(f"{kind}_{node.field}")) for kind in _KINDS.values()]
    return f"{_joined('or', kinds)} and not ({found})"


def _joined(word: str, parts: list[str]) -> str:
    """``(a or b) or (c or d)``, not ``((a or b) or c) or d``.

    A Milvus server loses an expression that is nested too deep on its way between its nodes.
    """
    if len(parts) == 1:
        return f"({parts[0]})"
    half = len(parts) // 2
    return f"({_joined(word, parts[:half])} {word} {_joined(word, parts[half:])})"


def _exists(path: str) -> str:
    # In parentheses: to a Milvus server, EXISTS would reach over all that follows.
    return f"(exists {path})"


def _path(key: str) -> str:
    return f"metadata[{literal(key)}]"


def _key(field: str, value: Scalar) -> str:
    return f"{_KINDS[type(value)]}_{field}"
