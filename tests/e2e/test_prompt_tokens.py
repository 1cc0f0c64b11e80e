"""The default model's own tokenizer and chat template on hostile texts."""

from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.models import resolve_model
from groundmesh.prompting import (
    BUILT_IN,
    Message,
    Passage,
    Reserved,
    Role,
    TokenBudget,
    build_prompt,
    standalone_prompt,
)
from tests.generation_models import smollm2
from tests.injections import INJECTIONS

pytestmark = pytest.mark.e2e


@cache
def tokenizer() -> Any:
    from transformers import AutoTokenizer  # seconds

    return AutoTokenizer.from_pretrained(resolve_model(smollm2()).path)


@cache
def reserved() -> Reserved:
    return Reserved(tokenizer().all_special_tokens)


def special_tokens(messages: tuple[Message, ...]) -> Counter[str]:
    """How often each special token is in what the model reads."""
    chat = [{"role": each.role.value, "content": each.content} for each in messages]
    ids = tokenizer().apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    special = set(tokenizer().all_special_ids)
    return Counter(tokenizer().convert_ids_to_tokens([each for each in ids if each in special]))


def check(text: str) -> None:
    said = [Message(Role.USER, text), Message(Role.ASSISTANT, text)]
    prompts = [
        build_prompt(
            text,
            [Passage(text, text, text)],
            budget=TokenBudget(window=20_000, answer=10),
            count=lambda each: len(each.split()),
            template=template,
            history=said,
            reserved=reserved(),
        ).messages
        for template in BUILT_IN
    ]
    standalone = standalone_prompt(text, said, reserved=reserved())
    for messages in (*prompts, *([standalone] if standalone else [])):
        count = len(messages)
        assert special_tokens(messages) == {"<|im_start|>": count + 1, "<|im_end|>": count}


def test_they_would_be_read_as_special() -> None:
    attack = Message(Role.USER, INJECTIONS["the end of the turn"])
    assert special_tokens((attack,))["<|im_start|>"] > 2


@pytest.mark.parametrize("tried", INJECTIONS)
def test_no_special_token_comes_out_of_foreign_text(tried: str) -> None:
    check(INJECTIONS[tried])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_nor_out_of_any_made_of_their_pieces(data: st.DataObject) -> None:
    tokens = tokenizer().all_special_tokens
    pieces = [*tokens, *(each[:5] for each in tokens), *(each[5:] for each in tokens), "<", "|"]
    text = data.draw(st.lists(st.sampled_from([*pieces, "\u200b", " ", "\n"]), max_size=10))
    check("".join(text))
