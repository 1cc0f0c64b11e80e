"""What a text looks like, whatever characters it is written with.

A bracketed number in full width, or with a mark of no width inside, looks the same to a reader, and
near enough to a model. A pattern that is searched in what texts look like finds them all.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

_ODD = re.compile(r"[^\t\n -~]")
_INVISIBLE = frozenset("\u115f\u1160\u2800")
"""Blank, though Unicode calls them letters and a symbol; the others decompose to these."""
_UNSEEN = frozenset({"Cc", "Cf", "Me", "Mn"})
"""Control characters, zero width and bidirectional marks, and what is drawn over a letter."""
_TWINS = str.maketrans(
    "АВЕКМНОРСТУХЅІЈԚԜаеорсухѕіјԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανρ【】〔〕❲❳⟦⟧⁅⁆∣ǀ│┃ꓽ։׃∶ː",
    "ABEKMHOPCTYXSIJQWaeopcyxsijdqwhABEZHIKMNOPTYXoavp[][][][][]||||:::::",
)
"""Letters of other scripts, brackets and bars, that look like ours."""


def look(text: str) -> str:
    """What a text looks like."""
    return Look(text).text


class Look:
    """What a text looks like, and which of its characters look so."""

    def __init__(self, original: str) -> None:
        self.original = original
        self.text = original
        self._origins: Sequence[int] = range(len(original))
        looks = {each: _looks_of(each) for each in set(_ODD.findall(original))}
        if all(len(each) == 1 for each in looks.values()):
            self.text = original.translate({ord(odd): each for odd, each in looks.items()})
        else:
            pieces = [looks.get(character, character) for character in original]
            self.text = "".join(pieces)
            self._origins = [at for at, each in enumerate(pieces) for _ in each]

    def with_in_front(self, pattern: re.Pattern[str], addition: str) -> "Look":
        """The same with ``addition`` before every match."""
        return self._with(list(self._starts(pattern)), addition)

    def broken(self, pattern: re.Pattern[str]) -> "Look":
        """The same with a space after the first character of every match."""
        seams = list(self._seams(pattern))
        # Again, since matches may overlap; each round leaves fewer.
        return self._with(seams, " ").broken(pattern) if seams else self

    def without(self, pattern: re.Pattern[str]) -> str:
        """The original without the matches."""
        pieces, at = list[str](), 0
        for found in pattern.finditer(self.text):
            pieces.append(self.original[at : self._origins[found.start()]])
            at = self._origins[found.end() - 1] + 1
        return "".join((*pieces, self.original[at:]))

    def _starts(self, pattern: re.Pattern[str]) -> Iterator[int]:
        for found in pattern.finditer(self.text):
            yield self._origins[found.start()]

    def _seams(self, pattern: re.Pattern[str]) -> Iterator[int]:
        for found in pattern.finditer(self.text):
            first = self._origins[found.start()]
            if self._origins[found.end() - 1] > first:  # one character can't be broken
                yield first + 1

    def _with(self, points: Sequence[int], addition: str) -> "Look":
        pieces, at = list[str](), 0
        for point in points:
            pieces += [self.original[at:point], addition]
            at = point
        return Look("".join((*pieces, self.original[at:]))) if points else self


@lru_cache(maxsize=1 << 14)
def _looks_of(character: str) -> str:
    seen = unicodedata.normalize("NFKD", character.translate(_TWINS)).translate(_TWINS)
    return "".join(
        each
        for each in seen
        if each not in _INVISIBLE and unicodedata.category(each) not in _UNSEEN
    )
