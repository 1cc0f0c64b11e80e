"""Makes foreign text harmless: it can't be taken for a part of the prompt's frame.

What it changes stays readable, for people and for the model: a space or a quotation mark is put
in, nothing is left out.
"""

import re
from collections.abc import Iterable

# What begins or ends a message in the chat templates in use, even if the model at hand has none of
# it: a proxy or a later model may.
_TEMPLATE = re.compile(
    r"""
      <(?=[|｜][^\s<>|｜]{1,64}[|｜]>)                                # <|im_start|>, <｜User｜>
    | <(?=/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn)>)          # <s>, <start_of_turn>
    | <(?=<SYS>>|</SYS>>|/?SYS>>)                                       # <<SYS>>
    | \[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A bracketed number: ours are the passages' and the citations'. An index such as ``a[1]`` is
# neither, and stays as it is.
_NUMBERS = re.compile(r"(?<![\w)\]])(?:\[[0-9][0-9, ]*\])+")
_FRAME_LINE = re.compile(
    r"^([ \t]*)(?=(?:passages?|question|answer)\b[^\n:]{0,16}:)", re.IGNORECASE | re.MULTILINE
)
_LINE_BREAKS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")


class Reserved:
    """The special tokens of one model, none of which may come out of foreign text."""

    def __init__(self, tokens: Iterable[str] = ()) -> None:
        """Tokens of a single character can't be broken apart, and are left alone."""
        stripped = {token.strip() for token in tokens}
        tokens = sorted((token for token in stripped if len(token) > 1), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, tokens))) if tokens else None

    def broken(self, text: str) -> str:
        """``text`` with a space inside everything that the tokenizer would read as special."""
        while self._pattern is not None and self._pattern.search(text):
            # Again, since tokens may overlap; each round leaves fewer.
            text = self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return text


def neutral_text(text: str, reserved: Reserved) -> str:
    """A passage or a question that has no line, number or token of the frame in it."""
    text = _LINE_BREAKS.sub("\n", text)
    text = _FRAME_LINE.sub(r"\1> ", text)
    return _without_brackets(text, reserved)


def neutral_line(text: str, reserved: Reserved, *, limit: int) -> str:
    """A title or a place: one line of at most ``limit`` characters."""
    line = " ".join(text.split())
    if len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    return _without_brackets(line, reserved)


def _without_brackets(text: str, reserved: Reserved) -> str:
    text = _NUMBERS.sub(lambda found: found[0].replace("[", "[ "), text)
    text = _TEMPLATE.sub(lambda found: f"{found[0]} ", text)
    return reserved.broken(text)
