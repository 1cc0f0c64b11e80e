"""Passages for tests of what is done with them."""

from groundmesh.prompting import Passage
from groundmesh_gateway.finding import FoundPassage


def passage(
    text: str = "So it is.",
    *,
    index: int = 0,
    document: str = "d",
    ordinal: int = 0,
    start_byte: int = 0,
    score: float = 0.5,
    cosine: float | None = None,
) -> FoundPassage:
    end = start_byte + len(text.encode())
    return FoundPassage(
        Passage("Guide", f"page {ordinal}", text),
        *(document, ordinal, start_byte, end, score, cosine, (index,)),
    )
