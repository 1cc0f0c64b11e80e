"""reStructuredText: the text that is kept is the source itself, its titles become marks.

The source is not run through docutils: it would leave out what directives and comments hold, and
its directives read files.
"""

import re
import unicodedata
from collections.abc import Iterator

from groundmesh_gateway.parsing.decoding import decode
from groundmesh_gateway.parsing.document import ExtractedDocument, heading
from groundmesh_gateway.parsing.markdown import Heading, section_marks

_TITLE = re.compile(
    r"^(?:(?P<over>([^\w\s])\2{2,})[ \t]*\n(?P<between>[ \t]*\S[^\n]*)\n(?P=over)"
    r"|(?P<above>\S[^\n]*)\n(?P<under>([^\w\s])\6*))[ \t]*$",
    re.MULTILINE,
)
_ROLE = re.compile(r":[\w:+.-]+:`([^`]*)`|``?([^`]*)``?_{0,2}")


def parse(data: bytes) -> ExtractedDocument:
    """The source; the title is its first."""
    text = decode(data)
    titles = list(_titles(text))
    return ExtractedDocument(
        text=text, title=titles[0][2] if titles else "", marks=section_marks(titles)
    )


def _titles(text: str) -> Iterator[Heading]:
    """Levels go by the order in which kinds of lines are first met, as the format has it."""
    kinds: list[tuple[str, bool]] = []
    for match in _TITLE.finditer(text):
        line = match["over"] or match["under"]
        title = match["between"] or match["above"]
        if _width(title.rstrip()) > len(line) or not _WORDS.search(title):
            continue
        kind = (line[0], match["over"] is not None)
        if kind not in kinds:
            kinds.append(kind)
        plain = _ROLE.sub(lambda role: role[1] or role[2] or "", title)
        yield match.start(), kinds.index(kind) + 1, heading(plain)


_WORDS = re.compile(r"\w")


def _width(text: str) -> int:
    """Columns of a terminal: CJK characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
