"""Filters as text: what they mean, and that nothing else is taken."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from groundmesh.cli.app import app
from groundmesh.cli.problems import Exit
from groundmesh.client import AllOf, AnyOf, Compare, Filter, NoneOf, Operator, parse_filter
from groundmesh.errors import InvalidArgument

YEAR = Compare("year", Operator.GREATER_OR_EQUAL, (2020.0,))
LANG = Compare("lang", Operator.IN, ("en", "de"))
OPEN = Compare("open", Operator.EQUAL, (True,))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("year >= 2020", YEAR),
        ('year>=2020 and lang in ["en","de"]', AllOf((YEAR, LANG))),
        ("open == true or year >= 2020 and open == true", AnyOf((OPEN, AllOf((YEAR, OPEN))))),
        ("(open == true or year >= 2020) and open == true", AllOf((AnyOf((OPEN, YEAR)), OPEN))),
        ("not open == true and year >= 2020", AllOf((NoneOf((OPEN,)), YEAR))),
        ("not (open == true)", NoneOf((OPEN,))),
        ('a != "x \\" or b == 1"', Compare("a", Operator.NOT_EQUAL, ('x " or b == 1',))),
        ("_a1 < -1.5e3", Compare("_a1", Operator.LESS, (-1500.0,))),
        ("  a  ==  false  ", Compare("a", Operator.EQUAL, (False,))),
        ('a == "\\u00fc東"', Compare("a", Operator.EQUAL, ("ü東",))),
    ],
)
def test_what_filters_mean(text: str, meaning: Filter) -> None:
    assert parse_filter(text) == meaning


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 1),
        ("year", 5),
        ("year = 2020", 6),
        ("year == ", 9),
        ("year == 'x'", 9),
        ("year == 2020 lang == 1", 14),
        ("year in 2020", 9),
        ("year in []", 10),
        ("year in [1,", 12),
        ("and == 1", 1),
        ("(a == 1", 8),
        ("a == 1)", 7),
        ("a == 1 or", 10),
        ("a == 1e999", 6),
        ('a == "\\ud800"', 6),
        ('a == "x', 6),
        ('a == "\\q"', 6),
        ("a == 1.", 6),
        ("a-b == 1", 2),
        ("a ( 1", 3),
        ('a == "x"; drop', 9),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, at: int) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_filter(text)
    [violation] = caught.value.fields
    assert violation.field == "filter"
    assert violation.description.startswith(f"at character {at}: ")


@pytest.mark.parametrize("text", ["(" * 10_000 + "a == 1", "not " * 10_000 + "a == 1"])
def test_nesting_has_an_end(text: str) -> None:
    with pytest.raises(InvalidArgument, match="nested too deep"):
        parse_filter(text)


FIELDS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in {"and", "or", "not", "in", "true", "false"}
)
STRINGS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = STRINGS | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
SIGNS = {"==": Operator.EQUAL, "!=": Operator.NOT_EQUAL, "<": Operator.LESS, ">": Operator.GREATER}


@settings(deadline=None)
@given(FIELDS, st.sampled_from(sorted(SIGNS)), VALUES)
def test_a_value_is_what_was_written_and_nothing_more(
    field: str, sign: str, value: str | float | bool
) -> None:
    parsed = parse_filter(f"{field} {sign} {json.dumps(value)}")
    assert parsed == Compare(field, SIGNS[sign], (value,))


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    with suppress(InvalidArgument):  # anything else would be a traceback on the command line
        parse_filter(text)


def test_the_command_line_refuses_a_wrong_filter_before_it_calls_anybody() -> None:
    wrong = ["search", "x", "--collection", "docs", "--filter", "year = 1"]
    result = CliRunner().invoke(app, wrong)
    assert result.exit_code == Exit.USAGE
    assert "equality is ==" in result.output
