"""What holds of the chunks of any text, whatever the tokenizer."""

import re
from collections.abc import Sequence
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundmesh_gateway.splitting import (
    HubTokenCounter,
    Span,
    Splitting,
    TokenCounter,
    context_room,
    split,
    splitter,
)
from tests import tokenizer_files

COUNTERS = {
    "wordpiece": HubTokenCounter(tokenizer_files.wordpiece()),
    "byte_level": HubTokenCounter(tokenizer_files.byte_level()),
    "metaspace": HubTokenCounter(tokenizer_files.metaspace()),
}
WORD = re.compile(r"\S+")

words = st.text(alphabet="abcdefgh.,-'#|", min_size=1, max_size=12)
gaps = st.sampled_from([" ", "  ", "\n", "\n\n", ". ", "\n- ", "\t", " \n \n"])
prose = st.lists(st.tuples(words, gaps), max_size=60).map(lambda pairs: "".join(sum(pairs, ())))
anything = st.text(max_size=200)
texts = st.one_of(prose, anything, st.builds(lambda a, b: a + b, prose, anything))
splittings = st.builds(Splitting, max_tokens=st.integers(8, 40), overlap_tokens=st.integers(0, 30))


def chunks(
    text: str, splitting: Splitting, counter: TokenCounter, sections: Sequence[int] = ()
) -> list[Span]:
    return list(split(text, counter=counter, splitting=splitting, sections=sections))


def check(text: str, found: list[Span], splitting: Splitting, counter: TokenCounter) -> None:
    covered = set[int]()
    for span in found:
        piece = text[span.start : span.end]
        assert piece
        assert piece == piece.strip()
        assert counter.counts([piece]) == [span.tokens]
        assert span.tokens <= splitting.max_tokens
        covered.update(range(span.start, span.end))
    assert all(character.isspace() or at in covered for at, character in enumerate(text))
    for one, other in pairwise(found):
        assert one.start < other.start
        assert one.end < other.end


@pytest.mark.parametrize("name", COUNTERS)
@settings(max_examples=150, deadline=None)
@given(text=texts, splitting=splittings, data=st.data())
@example(text="", splitting=Splitting(8, 0), data=None)
@example(text="x" * 500, splitting=Splitting(8, 4), data=None)
@example(text="e" + "\u0301" * 100, splitting=Splitting(8, 2), data=None)
@example(text="\u200b" * 300 + " a", splitting=Splitting(8, 2), data=None)
@example(text="字" * 100 + "。" + "字" * 5, splitting=Splitting(8, 3), data=None)
@example(text="😀" * 40, splitting=Splitting(8, 3), data=None)
def test_chunks_cover_the_text_in_order_within_the_limit(
    name: str, text: str, splitting: Splitting, data: st.DataObject | None
) -> None:
    positions = st.lists(st.integers(0, max(len(text), 1)), unique=True)
    sections = sorted(data.draw(positions)) if data else []
    counter = COUNTERS[name]
    check(text, chunks(text, splitting, counter, sections), splitting, counter)
    # Again in small blocks, as if the text were large.
    with (
        patch.object(splitter, "_BLOCK_CHARS", 256),
        patch.object(splitter, "_CHARS_PER_TOKEN", 3),
    ):
        check(text, chunks(text, splitting, counter, sections), splitting, counter)


@pytest.mark.parametrize("name", COUNTERS)
@settings(max_examples=100, deadline=None)
@given(text=texts, splitting=splittings, seed=st.integers(0, 7))
def test_what_is_kept_free_for_the_context_stays_free(
    name: str, text: str, splitting: Splitting, seed: int
) -> None:
    counter = COUNTERS[name]
    room = context_room(splitting, counter)

    def taken(start: int) -> int:  # differs from place to place
        return (start // 16 + seed) % (room + 1)

    found = list(split(text, counter=counter, splitting=splitting, context_tokens=taken))
    check(text, found, splitting, counter)
    for span in found:
        over = span.tokens + taken(span.start) > splitting.max_tokens
        assert not over or span.end - span.start == 1


@pytest.mark.parametrize("name", COUNTERS)
@settings(max_examples=150, deadline=None)
@given(text=prose, splitting=splittings, with_context=st.booleans())
def test_no_chunk_begins_or_ends_within_a_word_that_a_chunk_can_hold(
    name: str, text: str, splitting: Splitting, *, with_context: bool
) -> None:
    counter = COUNTERS[name]
    taken = context_room(splitting, counter) if with_context else 0
    runs = [match.span() for match in WORD.finditer(text)]
    found = split(text, counter=counter, splitting=splitting, context_tokens=lambda _: taken)
    for span in found:
        for edge in (span.start, span.end):
            for begin, end in runs:
                if begin < edge < end:
                    assert counter.counts([text[begin:end]])[0] > splitting.max_tokens - taken


@settings(max_examples=150, deadline=None)
@given(text=prose, splitting=splittings, taken=st.integers(0, 2))
def test_a_chunk_repeats_at_most_the_overlap(text: str, splitting: Splitting, taken: int) -> None:
    counter = COUNTERS["wordpiece"]
    taken = min(taken, context_room(splitting, counter))
    found = split(text, counter=counter, splitting=splitting, context_tokens=lambda _: taken)
    for one, other in pairwise(found):
        repeated = text[other.start : one.end]
        tokens = counter.counts([repeated])[0] - counter.special_tokens
        assert tokens <= splitting.overlap_tokens


def test_a_chunk_ends_where_a_section_does_rather_than_later() -> None:
    counter = COUNTERS["byte_level"]
    text = "one two three four. five six\n\n# Next\nseven eight nine ten eleven"
    section = text.index("# Next")
    first, second = chunks(text, Splitting(45, 8), counter, [section])
    assert text[first.start : first.end] == "one two three four. five six"
    assert second.start == section  # and repeats nothing of the section before


def test_paragraphs_go_before_sentences_and_sentences_before_words() -> None:
    counter = COUNTERS["byte_level"]

    def first_of(text: str) -> str:
        span = chunks(text, Splitting(30, 0), counter)[0]
        return text[span.start : span.end]

    assert first_of("aa bb cc dd ee ff gg\n\nhh. ii jj kk ll mm") == "aa bb cc dd ee ff gg"
    assert first_of("aa bb cc dd ee ff. gg hh ii\njj kk ll mm nn") == "aa bb cc dd ee ff."
    assert first_of("aa bb cc dd ee ff gg hh iii jj kk ll mm n") == "aa bb cc dd ee ff gg hh iii"


def test_the_overlap_begins_with_a_sentence_where_there_is_one() -> None:
    counter = COUNTERS["byte_level"]
    text = "aa bb cc. dd ee ff. gg hh ii. jj kk ll. mm nn oo."
    first, second = chunks(text, Splitting(30, 14), counter)[:2]
    assert text[first.start : first.end] == "aa bb cc. dd ee ff. gg hh ii."
    assert text[second.start : second.end].startswith("gg hh ii. jj kk ll.")


def test_a_large_text_is_split_as_if_it_were_one_block() -> None:
    counter = COUNTERS["wordpiece"]
    sentence = "Many a word that is cut nowhere but at its end. "
    text = sentence * 8000
    found = chunks(text, Splitting(48, 0), counter)
    check(text, found, Splitting(48, 0), counter)
    assert all(text[span.end - 1] == "." for span in found)
    assert len({span.tokens for span in found[:-1]}) == 1


def test_a_text_of_nearly_no_tokens_is_split_by_its_length() -> None:
    text = "a" + " " * 100_000 + "b" + "\u200b" * 100_000 + "c"
    found = chunks(text, Splitting(512, 0), COUNTERS["wordpiece"])
    assert len(found) > 2
    assert all(len(text[span.start : span.end].encode()) <= 65_535 for span in found)


def test_no_room_for_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="no room"):
        chunks("text", Splitting(2, 0), COUNTERS["wordpiece"])
