"""What goes through the grounding of an answer."""

from dataclasses import dataclass
from enum import Enum, auto

Span = tuple[int, int]
"""UTF-8 bytes into the answer: where a part begins, and where it ends, exclusive."""


@dataclass(frozen=True)
class SentPassage:
    """A passage as the model got it; offsets are UTF-8 bytes into its document's text."""

    number: int
    text: str
    start_byte: int
    end_byte: int
    document: str = ""


class CitationKind(Enum):
    """How a citation is known."""

    VERBATIM = auto()
    """The quote stands in its passage word for word."""
    MARKER = auto()
    """The model wrote the passage's number."""
    INFERRED = auto()
    """The sentence was aligned to the passage afterwards."""


@dataclass(frozen=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True)
class Citation:
    """A part of the answer, and the part of a passage that it rests on, in UTF-8 bytes."""

    kind: CitationKind
    passage: SentPassage
    quote: str
    start_byte: int
    end_byte: int
    answer_start_byte: int
    answer_end_byte: int
    score: float | None = None

    def touches(self, start: int, end: int) -> bool:
        """Whether it is about anything of this part of the answer."""
        return self.answer_start_byte < end and start < self.answer_end_byte


Checked = TextDelta | Citation


def of_part(
    kind: CitationKind,
    passage: SentPassage,
    part: tuple[int, int],
    *,
    answer: Span,
    score: float | None = None,
) -> Citation:
    """A citation of a part of a passage, which is given in characters."""
    start, end = part
    quote = passage.text[start:end]
    start_byte = passage.start_byte + len(passage.text[:start].encode())
    end_byte = start_byte + len(quote.encode())
    return Citation(kind, passage, quote, start_byte, end_byte, *answer, score=score)
