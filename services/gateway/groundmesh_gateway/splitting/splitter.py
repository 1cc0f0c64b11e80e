"""The chunks of a text.

What holds of them, whatever the text:

- they are in order, begin and end with a character that is no white space, and together hold
  every such character of the text;
- none, with the special tokens that the model adds and what is kept free for its context, has more
  than ``max_tokens`` tokens;
- none begins or ends within a word, unless that word alone is too long for a chunk.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from groundmesh_gateway.splitting.block import Block
from groundmesh_gateway.splitting.tokens import TokenCounter

METHOD = "structure-2"
"""Name and version of this way of splitting, as collections record it."""

_BLOCK_CHARS = 256 * 1024
"""How much is tokenized at once: a token takes a hundred times the memory of its text."""
_CHARS_PER_TOKEN = 32
"""Bounds a chunk of what costs hardly any tokens, such as white space."""
_CONTEXT_SHARE = 4
"""One part in so many of a chunk is the most that its context may take."""
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


def no_context(_start: int) -> int:
    """Keep nothing free."""
    return 0


def split(
    text: str,
    *,
    counter: TokenCounter,
    splitting: Splitting,
    sections: Sequence[int] = (),
    context_tokens: Callable[[int], int] = no_context,
) -> Iterator[Span]:
    """Cut ``text`` into chunks; ``sections`` are the characters at which its sections begin.

    ``context_tokens`` says how many tokens a chunk that begins at a character leaves free; at most
    ``context_room`` of them. ValueError when ``max_tokens`` leaves no room beside the special ones.
    """
    capacity = splitting.max_tokens - counter.special_tokens
    if capacity < 1:
        raise ValueError(f"no room for text in {splitting.max_tokens} tokens")
    # Else a chunk might add nothing new.
    overlap = min(splitting.overlap_tokens, (capacity - context_room(splitting, counter)) // 2)
    start = began = said = 0
    while start < len(text):
        stop = min(start + _BLOCK_CHARS, len(text))
        piece = text[start:stop]

        def room(at: int, start: int = start) -> int:
            return capacity - context_tokens(start + at)

        block = _block(piece, counter, room, _between(sections, start, stop))
        ranges = list(block.ranges(overlap=overlap))
        if stop < len(text) and len(ranges) > 1:
            stop = start + ranges.pop()[0]  # it may go on behind the block
        for begin, end, tokens in _fitting(piece, ranges, counter, room):
            if start + end > said:  # else it is but a repetition, of a chunk that was too long
                began, said = start + begin, start + end
                yield Span(began, said, tokens)
        start = stop if began < stop else said


def _between(sections: Sequence[int], start: int, stop: int) -> list[int]:
    own = sections[bisect_right(sections, start) : bisect_left(sections, stop)]
    return [section - start for section in own]


def context_room(splitting: Splitting, counter: TokenCounter) -> int:
    """How many tokens of a chunk its context may take: a help to the text, not the other way."""
    return max(splitting.max_tokens - counter.special_tokens, 0) // _CONTEXT_SHARE


def _block(
    text: str, counter: TokenCounter, room: Callable[[int], int], sections: Sequence[int]
) -> Block:
    starts, ends = counter.spans(text)
    most = _MAX_CHUNK_BYTES // (1 if text.isascii() else _MAX_BYTES_PER_CHAR)
    return Block(
        text,
        token_starts=starts,
        token_ends=ends,
        sections=sections,
        room=room,
        max_chars=min(room(0) * _CHARS_PER_TOKEN, most),
    )


def _fitting(
    text: str,
    ranges: Sequence[tuple[int, int]],
    counter: TokenCounter,
    room: Callable[[int], int],
) -> Iterator[tuple[int, int, int]]:
    """The ranges with their tokens, those with more than there is room for split once more.

    A piece may have more tokens by itself than within its text: merges of tokens go over any cut,
    and to some tokenizers a very long word is one unknown token, but its halves are many.
    """
    counts = counter.counts([text[begin:end] for begin, end in ranges])
    done = 0
    for (first, end), counted in zip(ranges, counts, strict=True):
        begin, tokens = first, counted
        if begin < done:  # what it repeats may begin before the last of the smaller pieces does
            begin = end - len(text[done:end].lstrip())
            [tokens] = counter.counts([text[begin:end]])
        most = room(begin)
        if tokens - counter.special_tokens <= most or end - begin == 1:
            yield begin, end, tokens
            continue
        piece = text[begin:end]

        def same(_at: int, most: int = most) -> int:
            return most

        smaller = list(_block(piece, counter, same, ()).ranges(overlap=0))
        for inner, stop, inner_tokens in _fitting(piece, smaller, counter, same):
            yield begin + inner, begin + stop, inner_tokens
        done = end
