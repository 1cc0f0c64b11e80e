"""What a chunk needs of its surroundings to be understood by itself: title and headings above it.

The gateway has it embedded before the chunk's text, the retriever indexes its terms. It is part of
neither the text nor the offsets. This is the only place that knows its form, so that vectors and
terms say the same.
"""

from collections.abc import Iterable

_ABOVE = " > "


def context_of(parts: Iterable[str], text: str) -> str:
    """A title and the headings above a text on one line, outermost first; often empty.

    What the text says itself is left out: a section begins with its own heading.
    """
    return _ABOVE.join(dict.fromkeys(part for part in parts if part and part not in text))


def in_context(context: str, text: str) -> str:
    """A text as a model or an index should read it."""
    return f"{context}\n{text}" if context else text
