"""HTML, as the Markdown that says the same."""

import html
import re

from html_to_markdown import ConversionOptions, PreprocessingOptions, convert

from groundmesh_gateway.parsing.decoding import decode, tidy
from groundmesh_gateway.parsing.document import ExtractedDocument, heading
from groundmesh_gateway.parsing.markdown import marks_of

_HEAD_BYTES = 16 * 1024
"""Where title and encoding are looked for."""
_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w:.-]+)""", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_NAV = re.compile(r"<(/?)nav\b([^>]*)>", re.IGNORECASE)
_CONTENTS = re.compile(r"\b(?:toc|contents)\b", re.IGNORECASE)
_NOTE = re.compile(r"\^(\[[^\]^\n]{1,60}\])\^")
"""The number of a note has its brackets already."""

_OPTIONS = ConversionOptions(
    # What is set apart inside a line says nothing to a search, and would stand between the words
    # of a quotation; the target of a link costs tokens and is hardly ever what is asked for.
    strip_tags=[
        *("a", "abbr", "b", "big", "cite", "del", "em", "font", "i", "ins", "mark", "q", "s"),
        *("small", "span", "strong", "u"),
    ],
    exclude_selectors=[
        *("a.headerlink", "a.anchor"),  # the pilcrow after each heading
        *("audio", "embed", "iframe", "object", "video"),
    ],
    skip_images=True,
    sub_symbol="~",  # as Pandoc writes them: 10^6^ is not 106
    sup_symbol="^",
    autolinks=False,
    compact_tables=True,
    expand_abbreviations=False,
    include_blockquote_citations=False,
    extract_metadata=False,
    preprocessing=PreprocessingOptions(remove_navigation=True, remove_forms=False),
)


def parse(data: bytes) -> ExtractedDocument:
    """Headings, lists, tables and preformatted text as Markdown; scripts and menus left out."""
    declared = _CHARSET.search(data[:_HEAD_BYTES])
    source = decode(data, declared=declared[1].decode("ascii") if declared else "")
    titled = _TITLE.search(source[:_HEAD_BYTES])
    converted = convert(_with_contents(source), _OPTIONS).content or ""
    text = tidy(_NOTE.sub(r"\1", converted))
    marks = marks_of(text)
    first = marks[0].place.heading_path[0] if marks else ""
    title = heading(html.unescape(titled[1])) if titled else first
    return ExtractedDocument(text=text, title=title, marks=marks)


def _with_contents(source: str) -> str:
    """The page with its own table of contents as text: it is no menu of the site."""
    are_contents: list[bool] = []

    def renamed(match: re.Match[str]) -> str:
        if not match[1]:
            are_contents.append(bool(_CONTENTS.search(match[2])))
        kept = are_contents[-1] if are_contents else False
        if match[1] and are_contents:
            are_contents.pop()
        return f"<{match[1]}{'div' if kept else 'nav'}{match[2]}>"

    return _NAV.sub(renamed, source)
