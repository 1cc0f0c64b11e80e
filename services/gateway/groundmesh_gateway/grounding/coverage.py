"""How much of an answer is cited."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundmesh_gateway.grounding.answer_sentences import Sentence
from groundmesh_gateway.grounding.model import Citation, CitationKind


@dataclass(frozen=True)
class Coverage:
    """Sentences of an answer: all, those with a citation, and those with one of each kind."""

    sentences: int = 0
    cited: int = 0
    verbatim: int = 0
    marker: int = 0
    inferred: int = 0


def coverage_of(sentences: Sequence[Sentence], citations: Sequence[Citation]) -> Coverage:
    """A sentence has the citations that are about anything of it."""
    kinds = [
        {each.kind for each in citations if each.touches(sentence.start_byte, sentence.end_byte)}
        for sentence in sentences
    ]
    return Coverage(
        sentences=len(kinds),
        cited=sum(map(bool, kinds)),
        verbatim=sum(CitationKind.VERBATIM in each for each in kinds),
        marker=sum(CitationKind.MARKER in each for each in kinds),
        inferred=sum(CitationKind.INFERRED in each for each in kinds),
    )
