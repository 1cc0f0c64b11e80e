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

_OPTIONS = ConversionOptions(
    # What is set apart inside a line says nothing to a search, and would stand between the words
    # of a quotation; the target of a link costs tokens and is hardly ever what is asked for.
    strip_tags=[
        *("a", "abbr", "b", "big", "cite", "del", "em", "font", "i", "ins", "mark", "q", "s"),
        *("small", "span", "strong", "sub", "sup", "u"),
    ],
    exclude_selectors=[
        *("a.headerlink", "a.anchor"),  # the pilcrow after each heading
        *("audio", "embed", "iframe", "object", "video"),
    ],
    skip_images=True,
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
    text = tidy(convert(source, _OPTIONS).content or "")
    marks = marks_of(text)
    first = marks[0].place.heading_path[0] if marks else ""
    title = heading(html.unescape(titled[1])) if titled else first
    return ExtractedDocument(text=text, title=title, marks=marks)
