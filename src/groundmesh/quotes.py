"""Quotes, word for word: how a model marks them, and what "word for word" means.

Two texts say the same word for word when they are equal once normalised. That leaves letters, case,
digits and punctuation as they are, and makes equal what differs only in how it is typeset: NFC or
NFD, curly or straight quotation marks, kinds of dashes, ligatures, soft hyphens and other
characters that are not seen, and the length and kind of white space. NFKC would go too far: it
makes 10² to 102. White space directly after ``[`` or ``<`` is left out, since a prompt puts it
there (``groundmesh.prompting``) so that a passage can't imitate its frame.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

BEGIN_QUOTE = "##begin_quote##"
"""What RAFT models (arXiv 2403.10131) write before a quote,"""
END_QUOTE = "##end_quote##"
"""and after it."""

Span = tuple[int, int]
"""Where a part of a text begins, and where it ends, exclusive, in characters."""

_UNSEEN = "\u00ad\u200b\u200e\u200f\u2060\ufeff"
_AS_PLAIN = {
    **dict.fromkeys("‘’‚‛′", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "…": "...",
    **{letter: unicodedata.normalize("NFKC", letter) for letter in "ﬀﬁﬂﬃﬄﬅﬆ"},
}
_SPECIAL = re.compile(rf"[\s{_UNSEEN}]+|[{''.join(_AS_PLAIN)}]")
# What may change when it comes together: a character with the marks, or the parts of a Hangul
# syllable, that follow it.
_JAMO = frozenset(map(chr, range(0x1160, 0x1200)))

# Scripts that put no space between words.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_INSIDE_WORD = re.compile(rf"[^\W{_UNSPACED}]{{2}}\Z")
_INSIDE_NUMBER = re.compile(r"[0-9][.,][0-9]\Z")


def normalised(text: str) -> str:
    """``text`` as it is compared, word for word."""
    return QuotableText(text).normalised.strip()


def count_words(text: str) -> int:
    """The words of a text; each character is one in scripts that put no space between words."""
    return sum(1 for _ in _WORD.finditer(text))


class QuotableText:
    """A text in which quotes are looked up."""

    def __init__(self, text: str) -> None:
        """Takes a time in proportion to the text's length."""
        self._text = text
        # Where the two texts part: up to the next of these places they run side by side.
        self._here: list[int] = [0]
        self._there: list[int] = [0]
        parts: list[str] = []
        at = size = 0
        for start, end, plain in _changes(text):
            parts += (text[at:start], plain)
            size += start - at
            self._here += (start, end)
            self._there += (size, size + len(plain))
            at, size = end, size + len(plain)
        parts.append(text[at:])
        self.normalised = "".join(parts)
        """The text as it is compared; white space at its ends is one space."""

    def places(self, quote: str) -> Iterator[Span]:
        """Where a quote stands word for word, in order; never inside a word or a number."""
        wanted = normalised(quote)
        at = self.normalised.find(wanted) if wanted else -1
        while at >= 0:
            end = at + len(wanted)
            place = self._place(at, end)
            if self._is_whole(at, end) and normalised(self._text[slice(*place)]) == wanted:
                yield place
            at = self.normalised.find(wanted, at + 1)

    def _is_whole(self, start: int, end: int) -> bool:
        text = self.normalised
        if any(_INSIDE_WORD.match(text[max(at - 1, 0) : at + 1]) for at in (start, end) if at):
            return False
        around = (text[max(start - 2, 0) : start + 1], text[end - 1 : end + 2])
        return not any(map(_INSIDE_NUMBER.match, around))

    def _place(self, start: int, end: int) -> Span:
        """The part of the text that became this part of the normalised one."""
        first = bisect_right(self._there, start) - 1
        last = bisect_left(self._there, end)
        begin = self._here[first] + start - self._there[first]
        if last < len(self._there) and self._there[last] == end:
            return begin, self._here[last]
        return begin, self._here[last - 1] + end - self._there[last - 1]


def _changes(text: str) -> Iterator[tuple[int, int, str]]:
    """The parts of ``text`` that read otherwise when normalised, and what they read then."""
    is_composed = unicodedata.is_normalized("NFC", text)
    for start, end in _specials(text) if is_composed else _clusters(text):
        part = text[start:end]
        plain = _plain(part, text[start - 1 : start])
        if plain != part:
            yield start, end, plain


def _specials(text: str) -> Iterator[Span]:
    yield from (match.span() for match in _SPECIAL.finditer(text))


def _clusters(text: str) -> Iterator[Span]:
    """Parts that change when they come together, or by themselves, and all between them."""
    start = 0
    for at in range(1, len(text)):
        if not _goes_on(text[start], text[at]):
            yield start, at
            start = at
    yield start, len(text)


def _goes_on(first: str, following: str) -> bool:
    """Whether a cluster that begins so has ``following`` in it, too."""
    if _is_space(first) or _is_space(following):
        return _is_space(first) and _is_space(following)
    return unicodedata.category(following).startswith("M") or following in _JAMO


def _is_space(character: str) -> bool:
    return character.isspace() or character in _UNSEEN


def _plain(part: str, before: str) -> str:
    if not part.strip(_UNSEEN):
        return ""
    if _is_space(part[0]):
        return "" if before in ("[", "<") else " "
    return "".join(_AS_PLAIN.get(each, each) for each in unicodedata.normalize("NFC", part))
