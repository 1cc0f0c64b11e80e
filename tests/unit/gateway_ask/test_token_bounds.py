"""Bounds of token counts that cost nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from groundmesh_gateway.model_tokens import token_bound
from tests import tokenizer_files

BYTES = Tokenizer.from_str(tokenizer_files.byte_level().decode())


@given(st.text())
def test_a_byte_level_tokenizer_has_no_more_tokens_than_a_text_has_bytes(text: str) -> None:
    at_most = token_bound(BYTES)
    assert at_most is not None
    assert len(BYTES.encode(text, add_special_tokens=False)) <= at_most(text)


@pytest.mark.parametrize("content", [tokenizer_files.wordpiece(), tokenizer_files.metaspace()])
def test_others_may_read_another_text_than_is_given(content: bytes) -> None:
    assert token_bound(Tokenizer.from_str(content.decode())) is None
