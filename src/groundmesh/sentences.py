"""Where sentences end: for cutting a passage cleanly, and for saying what a citation covers."""

import re
from collections.abc import Iterator

_CLOSERS = r"[\"'”’»)\]*_]*+"
_MARKERS = r"(?:[ ]?\[[0-9]{1,4}(?:,[ ]?[0-9]{1,4})*\])*+"

_END = re.compile(
    rf"""
    # A full stop and its like, with what closes the sentence; not before a small letter, which
    # follows an abbreviation.
    (?<![.!?…]) (?<!\be\.g) (?<!\bi\.e) (?<!\bcf) (?<!\bvs)
    [.!?…]++ {_CLOSERS} {_MARKERS} (?= \s+[^\sa-z] | \s*\Z )
    | [。！？]++ {_CLOSERS} {_MARKERS}
    # The end of a paragraph, and the line before an item of a list.
    | (?<=\S) (?= [ \t]*\r?\n [ \t]* (?: \r?\n | [-*•][ \t] | [0-9]{{1,3}}[.)][ \t] ) )
    """,
    re.VERBOSE,
)
# Possessive quantifiers and the look-behinds keep this linear on any text: tables of contents hold
# long rows of dots.


def sentence_ends(text: str) -> Iterator[int]:
    """Where each sentence ends, exclusive, in order; citation markers belong to the one before."""
    last = 0
    for match in _END.finditer(text):
        if match.end() > last:
            last = match.end()
            yield last
