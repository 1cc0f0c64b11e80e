import math
from typing import Any

import pytest

from groundmesh.errors import InvalidArgument, NotFound, PermissionDenied
from groundmesh.identity import Principal, acting_as
from groundmesh.names import CollectionName
from groundmesh.server.checks import (
    Checks,
    in_range,
    known_enum,
    max_bytes,
    max_items,
    not_empty,
    require_name,
)
from groundmesh.v1.errors_pb2 import ErrorReason

INVALID_FIELD = ErrorReason.ERROR_REASON_INVALID_FIELD


def field_of(error: InvalidArgument) -> str:
    return error.fields[0].field


def test_a_name_must_be_well_formed_and_ones_own() -> None:
    with acting_as(Principal.local()):
        name = require_name("tenants/default/collections/c", CollectionName, field="parent")
        assert name == CollectionName("default", "c")
        with pytest.raises(InvalidArgument) as caught:
            require_name("collections/c", CollectionName, field="parent")
        assert field_of(caught.value) == "parent"
        with pytest.raises(PermissionDenied):
            require_name("tenants/other/collections/c", CollectionName, field="parent")


def test_ranges() -> None:
    assert in_range(3, field="limit", low=1, high=3) == 3
    assert in_range(0.5, field="weight", low=0.0, high=1.0) == 0.5
    for wrong in (0, 4, -(2**31)):
        with pytest.raises(InvalidArgument, match="limit: must be from 1 to 3"):
            in_range(wrong, field="limit", low=1, high=3)
    for odd in (math.nan, math.inf):
        with pytest.raises(InvalidArgument):
            in_range(odd, field="weight", low=0.0, high=1.0)


def test_texts() -> None:
    assert not_empty(" a", field="question") == " a"
    for blank in ("", " \n\t", "\u3000"):
        with pytest.raises(InvalidArgument, match="question: must not be empty"):
            not_empty(blank, field="question")
    max_bytes("жж", field="text", limit=4)
    max_bytes(b"1234", field="data", limit=4)
    with pytest.raises(InvalidArgument, match="text: has 5 bytes, at most 4 are taken"):
        max_bytes("жжx", field="text", limit=4)


def test_counts() -> None:
    max_items(2, field="texts", limit=2)
    with pytest.raises(InvalidArgument, match="texts: has 3 items"):
        max_items(3, field="texts", limit=2)


def test_enums() -> None:
    number: Any = int  # a number off the wire is of no enum's type yet
    assert known_enum(INVALID_FIELD, ErrorReason, field="r") == INVALID_FIELD
    assert known_enum(number(0), ErrorReason, field="r", default=INVALID_FIELD) == INVALID_FIELD
    with pytest.raises(InvalidArgument, match="r: is 0, must be one of ERROR_REASON_MALFORMED"):
        known_enum(number(0), ErrorReason, field="r")
    with pytest.raises(InvalidArgument):
        known_enum(number(9999), ErrorReason, field="r", default=INVALID_FIELD)


def test_several_violations_are_told_together() -> None:
    checks = Checks()
    with checks:
        in_range(0, field="limit", low=1, high=3)
    with checks:
        not_empty("fine", field="question")
    with checks:
        max_items(3, field="texts", limit=2)
    with pytest.raises(InvalidArgument) as caught:
        checks.raise_if_any()
    assert [violation.field for violation in caught.value.fields] == ["limit", "texts"]
    assert "limit" in caught.value.message
    assert "texts" in caught.value.message


def test_nothing_wrong_raises_nothing_and_other_errors_pass() -> None:
    checks = Checks()
    with pytest.raises(NotFound), checks:
        raise NotFound("other")
    checks.raise_if_any()
