"""The chunks of a text.

What holds of them, whatever the text:

- they are in order, begin and end with a character that is no white space, and together hold
  every such character of the text;
- none, with the special tokens that the model adds, has more than ``max_tokens`` tokens;
- none begins or ends within a word, unless that word alone is too long for a chunk.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundmesh_gateway.splitting.block import Block
from groundmesh_gateway.splitting.tokens import TokenCounter

METHOD = "structure-1"
"""Name and version of this way of splitting, as collections record it."""

_BLOCK_CHARS = 256 * 1024
"""How much is tokenized at once: a token takes a hundred times the memory of its text."""
_CHARS_PER_TOKEN = 32
"""Bounds a chunk of what costs hardly any tokens, such as white space."""
_MAX_CHUNK_BYTES = 60_000
"""Stores take texts of 65,535 bytes."""
_MAX_BYTES_PER_CHAR = 4


@dataclass(frozen=True)
class Splitting:
    """How long chunks may be, special tokens included, and how much of one the next repeats."""

    max_tokens: int
    overlap_tokens: int


@dataclass(frozen=True)
class Span:
    """A chunk: characters ``start`` to ``end`` of the text; its tokens with special ones."""

    start: int
    end: int
    tokens: int


def split(
    text: str, *, counter: TokenCounter, splitting: Splitting, sections: Sequence[int] = ()
) -> Iterator[Span]:
    """Cut ``text`` into chunks; ``sections`` are the characters at which its sections begin.

    ValueError when ``max_tokens`` leaves no room beside the special tokens.
    """
    capacity = splitting.max_tokens - counter.special_tokens
    if capacity < 1:
        raise ValueError(f"no room for text in {splitting.max_tokens} tokens")
    overlap = min(splitting.overlap_tokens, capacity // 2)  # else a chunk might add nothing new
    start = said = 0
    while start < len(text):
        stop = min(start + _BLOCK_CHARS, len(text))
        piece = text[start:stop]
        own = sections[bisect_right(sections, start) : bisect_left(sections, stop)]
        block = _block(piece, counter, capacity, [section - start for section in own])
        ranges = list(block.ranges(overlap=overlap))
        if stop < len(text) and len(ranges) > 1:
            stop = start + ranges.pop()[0]  # it may go on behind the block
        for begin, end, tokens in _fitting(piece, ranges, counter, splitting.max_tokens):
            if start + end > said:  # else it is but a repetition, of a chunk that was too long
                yield Span(start + begin, start + end, tokens)
                said = start + end
        start = stop


def _block(text: str, counter: TokenCounter, capacity: int, sections: Sequence[int]) -> Block:
    starts, ends = counter.spans(text)
    most = _MAX_CHUNK_BYTES // (1 if text.isascii() else _MAX_BYTES_PER_CHAR)
    return Block(
        text,
        token_starts=starts,
        token_ends=ends,
        sections=sections,
        max_tokens=capacity,
        max_chars=min(capacity * _CHARS_PER_TOKEN, most),
    )


def _fitting(
    text: str, ranges: Sequence[tuple[int, int]], counter: TokenCounter, limit: int
) -> Iterator[tuple[int, int, int]]:
    """The ranges with their tokens, those that are over ``limit`` split once more.

    A piece may have more tokens by itself than within its text: merges of tokens go over any cut,
    and to some tokenizers a very long word is one unknown token, but its halves are many.
    """
    counts = counter.counts([text[begin:end] for begin, end in ranges])
    for (begin, end), tokens in zip(ranges, counts, strict=True):
        if tokens <= limit or end - begin == 1:
            yield begin, end, tokens
            continue
        piece = text[begin:end]
        smaller = list(_block(piece, counter, limit - counter.special_tokens, ()).ranges(overlap=0))
        for inner, stop, inner_tokens in _fitting(piece, smaller, counter, limit):
            yield begin + inner, begin + stop, inner_tokens
