"""Which sentence of the passages says what a sentence of an answer says.

Two measures, neither of which knows a language: the cosine of their vectors, and the share of the
answer's words that the passage has, each word weighed by how rare it is in the passages. The
first knows what is meant, the second sees a name or a number that is nowhere.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import mul

from groundmesh.sentences import sentence_ends
from groundmesh_gateway.finding.model import Vector
from groundmesh_gateway.grounding.model import SentPassage

COSINE_WEIGHT = 0.5
"""What the cosine weighs in the score; the overlap weighs the rest."""

_STEM = 5
"""Characters by which words are compared, so that endings make no difference."""
_WORD = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]|\w+")
_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class SourceSentence:
    """A sentence of a passage, by its characters."""

    passage: SentPassage
    start: int
    end: int

    @property
    def text(self) -> str:
        """What it says."""
        return self.passage.text[self.start : self.end]


def source_sentences(passages: Sequence[SentPassage]) -> Iterator[SourceSentence]:
    """The sentences of the passages, best passage first."""
    for passage in passages:
        start = 0
        for end in [*sentence_ends(passage.text), len(passage.text)]:
            part = passage.text[start:end]
            if _LETTER.search(part):
                begin = start + len(part) - len(part.lstrip())
                yield SourceSentence(passage, begin, begin + len(part.strip()))
            start = end


@dataclass(frozen=True)
class Aligned:
    """The sentence that fits best, and how well, from 0 to 1."""

    source: SourceSentence
    score: float


class Aligner:
    """The sentences that were sent, with their vectors."""

    def __init__(
        self,
        sources: Sequence[SourceSentence],
        vectors: Sequence[Vector],
        *,
        cosine_weight: float = COSINE_WEIGHT,
    ) -> None:
        """``vectors`` are of the sentences; the overlap weighs what the cosine does not."""
        self._cosine_weight = cosine_weight
        self._sources = sources
        self._units = [_unit(vector) for vector in vectors]
        self._stems = [stems(source.text) for source in sources]
        self._rare = math.log1p(len(self._sources) / 1.5)
        self._known_by = Counter(stem for known in self._stems for stem in known)

    def best(self, text: str, vector: Vector) -> Aligned | None:
        """The sentence that fits best; of equals the first."""
        said = {stem: self._weight(stem) for stem in stems(text)}
        if not said or not self._sources:
            return None
        # At least what one rare word weighs: "The" alone is in many sources, and says nothing.
        whole = max(sum(said.values()), self._rare)
        unit = _unit(vector)
        scores = [
            self._score(
                cosine=sum(map(mul, unit, other)),
                overlap=sum(said[stem] for stem in said.keys() & known) / whole,
            )
            for other, known in zip(self._units, self._stems, strict=True)
        ]
        score = max(scores)
        return Aligned(self._sources[scores.index(score)], score)

    def _score(self, *, cosine: float, overlap: float) -> float:
        weight = self._cosine_weight
        return min(1.0, weight * max(0.0, cosine) + (1 - weight) * overlap)

    def _weight(self, stem: str) -> float:
        return math.log1p(len(self._sources) / (0.5 + self._known_by[stem]))


def stems(text: str) -> frozenset[str]:
    """The words of a text without their endings; each character where words aren't spaced."""
    return frozenset(
        word if word.isdecimal() else word[:_STEM] for word in _WORD.findall(text.casefold())
    )


def _unit(vector: Vector) -> Sequence[float]:
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]
