"""Which beginnings of prompts an engine may have in its prefix cache."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import takewhile

BLOCK_TOKENS = 128
KEPT_BLOCKS = 65_536
"""8 million tokens in 10 MB: more than an engine's cache holds, so what is forgotten here is
forgotten there."""


class SeenPrefixes:
    """Remembers what the engine was given, by hashes: what it never was must be computed."""

    def __init__(self, *, kept_blocks: int = KEPT_BLOCKS) -> None:
        """It was given nothing yet."""
        self._kept_blocks = kept_blocks
        self._seen: OrderedDict[int, None] = OrderedDict()

    def least_unread(self, token_ids: Sequence[int]) -> int:
        """How many of a prompt's tokens no cache can have, at least one."""
        known = sum(1 for _ in takewhile(self._seen.__contains__, _prefixes(token_ids)))
        # Blocks of the engine may be smaller: of the first unknown one it may have a part.
        return max(1, len(token_ids) - (known + 1) * BLOCK_TOKENS)

    def remember(self, token_ids: Sequence[int]) -> None:
        """The engine is given this prompt."""
        for prefix in _prefixes(token_ids):
            self._seen[prefix] = None
            self._seen.move_to_end(prefix)
        while len(self._seen) > self._kept_blocks:
            self._seen.popitem(last=False)


def _prefixes(token_ids: Sequence[int]) -> Iterator[int]:
    so_far = 0
    for start in range(0, len(token_ids), BLOCK_TOKENS):
        so_far = hash((so_far, *token_ids[start : start + BLOCK_TOKENS]))
        yield so_far
