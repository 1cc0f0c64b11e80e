"""Org: the text that is kept is the source itself, its headlines become marks."""

import re
from collections.abc import Iterator

from groundmesh_gateway.parsing.decoding import decode
from groundmesh_gateway.parsing.document import ExtractedDocument, heading
from groundmesh_gateway.parsing.markdown import Heading, section_marks

_TITLE = re.compile(r"^#\+title:[ \t]*(\S.*)$", re.MULTILINE | re.IGNORECASE)
_HEADLINE = re.compile(
    r"^(?P<stars>\*+)[ \t]+(?:(?:TODO|DONE)[ \t]+)?(?:\[#\w\][ \t]+)?"
    r"(?P<title>\S.*?)(?:[ \t]+:[\w@#%:]+:)?[ \t]*$",
    re.MULTILINE,
)


def parse(data: bytes) -> ExtractedDocument:
    """The source; the title is the one that it states, else the first headline."""
    text = decode(data)
    headlines = list(_headlines(text))
    stated = _TITLE.search(text)
    first = headlines[0][2] if headlines else ""
    title = heading(stated[1]) if stated else first
    return ExtractedDocument(text=text, title=title, marks=section_marks(headlines))


def _headlines(text: str) -> Iterator[Heading]:
    for match in _HEADLINE.finditer(text):
        yield match.start(), len(match["stars"]), heading(match["title"])
