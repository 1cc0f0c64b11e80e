"""Which texts are taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundmesh.errors import InvalidArgument, Reason
from groundmesh_embedder.backends.base import Encoded
from groundmesh_embedder.texts import (
    MOST_VIOLATIONS,
    PART_CHARS,
    TextLimits,
    parts,
    refuse_truncation,
)

LIMITS = TextLimits(max_texts=3, max_text_bytes=10)


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ([], "texts"),
        (["a"] * 4, "texts"),
        (["a", ""], "texts[1]"),
        ([" \t\n"], "texts[0]"),
        (["a", "a" * 11], "texts[1]"),
        (["日本語文"], "texts[0]"),
    ],
)
def test_refuses_and_names_the_field(texts: list[str], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        LIMITS.check(texts, field="texts")
    assert refused.value.fields[0].field == field
    assert field in refused.value.message


def test_takes_what_is_within_the_limits() -> None:
    LIMITS.check(["a" * 10, "日本語", "b"], field="texts")


def test_names_every_wrong_text_up_to_a_bound() -> None:
    with pytest.raises(InvalidArgument) as refused:
        TextLimits(max_texts=100).check([""] * 50, field="passages")
    assert [each.field for each in refused.value.fields] == [
        f"passages[{index}]" for index in range(MOST_VIOLATIONS)
    ]
    assert "49 more" in refused.value.message


def test_strict_names_what_would_be_cut_off() -> None:
    whole, cut = Encoded({}, tokens=5, read=5), Encoded({}, tokens=300, read=256)
    refuse_truncation([whole], field="texts")
    with pytest.raises(InvalidArgument) as refused:
        refuse_truncation([whole, cut], field="texts")
    assert refused.value.reason is Reason.INPUT_TOO_LONG
    assert refused.value.fields[0].field == "texts[1]"
    assert "300" in refused.value.fields[0].description


@given(st.lists(st.integers(0, 2 * PART_CHARS), max_size=20))
def test_parts_keep_every_text_in_order_and_stay_small(lengths: list[int]) -> None:
    texts = ["a" * length for length in lengths]
    cut = list(parts(texts))
    assert [text for part in cut for text in part] == texts
    for part in cut:
        assert part
        assert sum(map(len, part[:-1])) < PART_CHARS
