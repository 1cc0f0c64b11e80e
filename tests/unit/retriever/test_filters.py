"""Filters: what is refused, and that no value ever becomes syntax."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from milvus_lite.search.filter.parser import parse_expr
from milvus_lite.search.filter.tokens import TokenKind, tokenize

from groundmesh.errors import InvalidArgument
from groundmesh_retriever.filters import (
    MAX_DEPTH,
    MAX_ITEMS,
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    NoneOf,
    Operator,
    check,
)
from groundmesh_retriever.model import Scalar
from groundmesh_retriever.stores.base import Scope
from groundmesh_retriever.stores.milvus_filter import keys_expression, literal, scope_expression

FIELDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    kind = draw(st.sampled_from([st.text(), NUMBERS, st.booleans()]))
    ordered = kind is not None
    operators = [op for op in Operator if ordered or op is Operator.EQUAL]
    operator = draw(st.sampled_from(operators))
    most = 5 if operator is Operator.IN else 1
    values: list[Scalar] = draw(st.lists(kind, min_size=1, max_size=most))  # type: ignore[arg-type]
    return Comparison(draw(FIELDS), operator, tuple(values))


FILTERS: st.SearchStrategy[Filter] = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(NoneOf, st.lists(inner, min_size=1, max_size=4).map(tuple)),
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=4).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=4).map(tuple)),
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.text())
def test_a_string_is_one_token_with_its_own_value(text: str) -> None:
    token, end = tokenize(literal(text))
    assert (token.kind, token.value) == (TokenKind.STRING, text)
    assert end.kind is TokenKind.EOF


@settings(deadline=None)
@given(NUMBERS)
def test_a_number_is_its_own_value(number: float) -> None:
    *sign, token, _ = tokenize(literal(number))
    assert token.value == abs(number)
    assert [each.kind for each in sign] == [TokenKind.SUB] * (literal(number)[0] == "-")


@settings(deadline=None)
@given(st.text(), st.none() | st.frozensets(st.text(), min_size=1), FILTERS)
def test_strings_of_an_expression_are_those_of_the_request_and_nothing_else(
    tenant: str, labels: frozenset[str] | None, asked: Filter
) -> None:
    expression = scope_expression(Scope(tenant, labels, asked))
    parse_expr(expression)
    strings = [t.value for t in tokenize(expression) if t.kind is TokenKind.STRING]
    assert strings[0] == tenant
    held = sorted(labels or ())
    assert strings[1 : 1 + len(held)] == held
    assert set(strings[1 + len(held) :]) <= set(_strings(asked))
    names = {t.text for t in tokenize(expression) if t.kind is TokenKind.IDENT}
    assert names <= {"tenant", "labels", "metadata", "array_contains_any"}


def _strings(node: Filter) -> list[Scalar]:
    match node:
        case Comparison(name, _, values):
            return [*values, *(f"{kind}_{name}" for kind in "snb")]
        case AllOf(filters) | AnyOf(filters) | NoneOf(filters):
            return [each for child in filters for each in _strings(child)]


@settings(deadline=None)
@given(st.lists(st.text(), min_size=1))
def test_keys_are_only_keys(keys: list[str]) -> None:
    strings = [t.value for t in tokenize(keys_expression(keys)) if t.kind is TokenKind.STRING]
    assert strings == keys


def nested(depth: int) -> Filter:
    made: Filter = Comparison("a", Operator.EQUAL, ("x",))
    for _ in range(depth - 1):
        made = NoneOf((made,))
    return made


X = Comparison("a", Operator.EQUAL, ("x",))


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (Comparison("", Operator.EQUAL, ("x",)), "filter.comparison.field"),
        (Comparison("1a", Operator.EQUAL, ("x",)), "filter.comparison.field"),
        (Comparison('a"] == 1 or metadata["b', Operator.EQUAL, ("x",)), "filter.comparison.field"),
        (Comparison("a" * 65, Operator.EQUAL, ("x",)), "filter.comparison.field"),
        (Comparison("a", Operator.EQUAL, ()), "filter.comparison.values"),
        (Comparison("a", Operator.EQUAL, ("x", "y")), "filter.comparison.values"),
        (Comparison("a", Operator.IN, ("x", 1.0)), "filter.comparison.values"),
        (Comparison("a", Operator.IN, (True, 1.0)), "filter.comparison.values"),
        (Comparison("a", Operator.IN, ("x",) * 101), "filter.comparison.values"),
        (Comparison("a", Operator.LESS, (True,)), "filter.comparison.values"),
        (Comparison("a", Operator.EQUAL, (float("nan"),)), "filter.comparison.values[0]"),
        (Comparison("a", Operator.EQUAL, (float("inf"),)), "filter.comparison.values[0]"),
        (Comparison("a", Operator.EQUAL, ("é" * 2_049,)), "filter.comparison.values[0]"),
        (AllOf(()), "filter.all_of.filters"),
        (NoneOf(()), "filter.none_of.filters"),
        (AnyOf((X,) * (MAX_ITEMS + 1)), "filter.any_of.filters"),
        (
            AllOf((X, NoneOf((AnyOf(()),)))),
            "filter.all_of.filters[1].none_of.filters[0].any_of.filters",
        ),
        (nested(MAX_DEPTH + 1), "filter"),
        (AllOf(tuple(AnyOf((X,) * 100) for _ in range(6))), "filter"),
    ],
)
def test_a_bad_filter_is_refused_by_the_name_of_its_part(bad: Filter, named: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(bad, field="filter")
    assert [violation.field for violation in caught.value.fields] == [named]


def test_the_largest_filter_is_taken() -> None:
    check(nested(MAX_DEPTH), field="filter")
    check(AnyOf((Comparison("a", Operator.IN, tuple("abc")),) * MAX_ITEMS), field="filter")
