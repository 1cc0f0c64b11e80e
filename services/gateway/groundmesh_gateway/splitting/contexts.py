"""The title and the headings above each part of a text, cut to what a chunk may give them."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

from groundmesh.chunk_context import context_of, in_context
from groundmesh_gateway.splitting.splitter import Span
from groundmesh_gateway.splitting.tokens import TokenCounter

_COUNTED_AT_ONCE = 256
_PLACES_KEPT = 1024
_MAX_TITLE_CHARS = 1024


class Contexts:
    """By the character at which a chunk begins."""

    def __init__(
        self,
        title: str,
        headings: Sequence[tuple[int, tuple[str, ...]]],
        *,
        counter: TokenCounter,
        most_tokens: int,
    ) -> None:
        """``headings`` are, in order, the characters from which on a path of headings holds."""
        self._title = " ".join(title.split())[:_MAX_TITLE_CHARS]
        self._offsets = [offset for offset, _ in headings]
        self._paths = [path for _, path in headings]
        self._counter = counter
        self._most_tokens = most_tokens
        self._fitted: dict[tuple[str, ...], tuple[tuple[str, ...], int]] = {}

    def tokens(self, start: int) -> int:
        """What the context of a chunk that begins here may take."""
        return self._at(start)[1]

    def of(
        self, text: str, spans: Iterator[Span], *, max_tokens: int
    ) -> Iterator[tuple[Span, str]]:
        """Each span with its context, or with none where both together are too long after all.

        That is rare: to a few tokenizers a text has more tokens behind another than by itself.
        """
        while some := list(islice(spans, _COUNTED_AT_ONCE)):
            texts = [text[span.start : span.end] for span in some]
            pairs = zip(some, texts, strict=True)
            found = [context_of(self._at(span.start)[0], own) for span, own in pairs]
            counts = self._counter.counts(list(map(in_context, found, texts)))
            for span, context, tokens in zip(some, found, counts, strict=True):
                yield span, context if tokens <= max_tokens else ""

    def _at(self, start: int) -> tuple[tuple[str, ...], int]:
        mark = bisect_right(self._offsets, start) - 1
        parts = (self._title, *(self._paths[mark] if mark >= 0 else ()))
        if parts not in self._fitted:
            if len(self._fitted) >= _PLACES_KEPT:
                self._fitted.clear()
            self._fitted[parts] = self._fit(parts)
        return self._fitted[parts]

    def _fit(self, parts: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
        """The subject and the nearest heading say most: what lies between goes first."""
        while (tokens := self._count(parts)) > self._most_tokens:
            title, *path = parts
            parts = (title, *path[1:]) if len(path) > 1 else _shortened(parts)
        return parts, tokens

    def _count(self, parts: tuple[str, ...]) -> int:
        line = context_of(parts, "")
        if not line:
            return 0
        return self._counter.counts([in_context(line, "")])[0] - self._counter.special_tokens


def _shortened(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The longest part without its last eighth; a word alone is left out, not cut."""
    longest = max(range(len(parts)), key=lambda index: len(parts[index]))
    words = parts[longest].split()
    kept = " ".join(words[: len(words) * 7 // 8])
    return (*parts[:longest], kept, *parts[longest + 1 :])
