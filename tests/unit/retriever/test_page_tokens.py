"""Page tokens: they go on where they were made to, and nowhere else."""

import base64

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from groundmesh.errors import InvalidArgument
from groundmesh_retriever.page_tokens import PageTokens

TOKENS = PageTokens(b"k" * 32)
LISTINGS = st.lists(st.text(), max_size=4).map(tuple)


@settings(deadline=None)
@given(st.text(), LISTINGS)
def test_a_token_gives_its_cursor_back(cursor: str, listing: tuple[str, ...]) -> None:
    token = TOKENS.make(cursor, listing=listing)
    assert TOKENS.read(token, listing=listing) == cursor
    assert PageTokens(b"k" * 32).read(token, listing=listing) == cursor


def test_no_token_is_the_beginning() -> None:
    assert TOKENS.read("", listing=("documents",)) == ""


@settings(deadline=None)
@given(st.text(), LISTINGS, LISTINGS)
def test_a_token_of_another_list_is_refused(
    cursor: str, listing: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assume(listing != other)
    token = TOKENS.make(cursor, listing=listing)
    with pytest.raises(InvalidArgument):
        TOKENS.read(token, listing=other)


@settings(deadline=None)
@given(st.text(min_size=1))
def test_whatever_else_is_sent_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        TOKENS.read(token, listing=())
    assert [violation.field for violation in caught.value.fields] == ["page_token"]


@settings(deadline=None)
@given(st.text(), st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_token_is_refused(cursor: str, at: int, flip: int) -> None:

    raw = bytearray(base64.urlsafe_b64decode(TOKENS.make(cursor, listing=())))
    raw[at % len(raw)] ^= flip
    with pytest.raises(InvalidArgument):
        TOKENS.read(base64.urlsafe_b64encode(raw).decode(), listing=())


def test_a_token_of_another_catalog_is_refused() -> None:
    token = PageTokens(b"other").make("x", listing=())
    with pytest.raises(InvalidArgument):
        TOKENS.read(token, listing=())
