"""Markdown: the text that is kept is the source itself, its headings become marks."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from groundmesh_gateway.parsing.decoding import decode
from groundmesh_gateway.parsing.document import ExtractedDocument, Mark, Place, heading

Heading = tuple[int, int, str]
"""Offset, level (1 is the highest) and title of a heading."""

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_NEWLINE = re.compile(r"\n")


def parse(data: bytes) -> ExtractedDocument:
    """The source; the title is that of the front matter, else the first heading of level 1."""
    text = decode(data)
    front = _FRONT_MATTER.match(text)
    titled = _FRONT_TITLE.search(front[1]) if front else None
    headings = list(_headings(text, front.end() if front else 0))
    title = titled[1].strip("\"'") if titled else next((t for _, n, t in headings if n == 1), "")
    return ExtractedDocument(text=text, title=heading(title), marks=section_marks(headings))


def marks_of(text: str) -> tuple[Mark, ...]:
    """The headings of a Markdown text that another format was turned into."""
    return section_marks(_headings(text, 0))


def section_marks(headings: Iterable[Heading]) -> tuple[Mark, ...]:
    """A mark for each heading, with the path of those above it."""
    return tuple(_marks(headings))


def _headings(text: str, begin: int) -> Iterator[Heading]:
    # Inline markup is parsed in headings only: of the rest, nothing but its blocks matters here.
    blocks = MarkdownIt("commonmark").disable("inline")
    inline = MarkdownIt("commonmark")
    starts = [begin, *(match.end() for match in _NEWLINE.finditer(text, begin))]
    tokens = blocks.parse(text[begin:])
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open" and opening.map:
            title = heading(_plain(inline.parseInline(content.content)))
            if title:
                yield starts[opening.map[0]], int(opening.tag[1:]), title


def _plain(tokens: Sequence[Token]) -> str:
    """Inline tokens without their markup."""
    return "".join(_plain_token(token) for token in tokens)


def _plain_token(token: Token) -> str:
    if token.children:
        return _plain(token.children)
    if token.type in {"softbreak", "hardbreak"}:
        return " "
    return "" if token.type in {"html_inline", "image"} else token.content


def _marks(headings: Iterable[Heading]) -> Iterator[Mark]:
    path: list[tuple[int, str]] = []
    for offset, level, title in headings:
        path = [(n, t) for n, t in path if n < level] + [(level, title)]
        yield Mark(offset, Place(heading_path=tuple(t for _, t in path)), begins_section=True)
