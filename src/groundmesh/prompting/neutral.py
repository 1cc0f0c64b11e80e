"""Makes foreign text harmless: it can't be taken for a part of the prompt's frame.

What it changes stays readable, for people and for the model: a space or a quotation mark is put
in, nothing is left out.
"""

import re
from collections.abc import Iterable, Sequence

from groundmesh.prompting.frame import FrameLine, imitations
from groundmesh.prompting.looks import Look, look

# What begins or ends a message in the chat templates in use, even if the model at hand has none of
# it: a proxy or a later model may. And what begins and ends a quote of an answer.
_TAGS = re.compile(
    r"""
      <[|][^\s<>|]{1,64}[|]>                                          # <|im_start|>, <｜User｜>
    | </?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn)>
    | </?(?:think|tools?|tool_calls?|tool_responses?)>
    | <<SYS>>|<</SYS>>|</?SYS>>
    | \[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]
    | \#\#(?:begin|end)_quote
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A bracketed number is a citation; the first element of something (``a[0]``) can be none.
_NUMBERS = r"(?:\[(?!0\])|(?<![\w)\]])\[)[0-9][0-9, ]*\]"
_MARKER = re.compile(_NUMBERS)
_CITED = re.compile(rf"[ ]?(?:{_NUMBERS})+|\#\#(?:begin|end)_quote\#\#", re.IGNORECASE)
_LINE_BREAKS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")


class Reserved:
    """The special tokens of one model, none of which may come out of foreign text."""

    def __init__(self, tokens: Iterable[str] = ()) -> None:
        """Tokens of a single character can't be broken apart, and are left alone."""
        stripped = {look(token).strip() for token in tokens}
        tokens = sorted((token for token in stripped if len(token) > 1), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, tokens))) if tokens else None

    def broken(self, text: Look) -> Look:
        """A text with a space inside everything that the tokenizer would read as special."""
        return text if self._pattern is None else text.broken(self._pattern)


class Neutral:
    """Makes text harmless in one frame, for one model."""

    def __init__(self, frame: Sequence[FrameLine], reserved: Reserved) -> None:
        """``frame`` are all lines that none may be taken for."""
        self._imitations = imitations(tuple(frame))
        self._reserved = reserved

    def text(self, text: str) -> str:
        """A passage, a question or a message that has no line, number or token of the frame."""
        seen = Look(_LINE_BREAKS.sub("\n", text))
        return self._without_tags(seen.with_in_front(self._imitations, "> "))

    def line(self, text: str, *, limit: int) -> str:
        """A title or a place: one line of at most ``limit`` characters."""
        line = " ".join(text.split())
        if len(line) > limit:
            line = line[: limit - 1].rstrip() + "…"
        return self._without_tags(Look(line))

    def _without_tags(self, seen: Look) -> str:
        return self._reserved.broken(seen.broken(_MARKER).broken(_TAGS)).original


def without_citations(answer: str) -> str:
    """An earlier answer without its citations: the passages that they name are not there now."""
    return Look(answer).without(_CITED).strip()
