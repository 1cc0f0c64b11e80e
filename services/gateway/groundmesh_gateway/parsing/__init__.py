"""Documents of many formats to text, each by one function; run this in a worker process only."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from groundmesh.errors import Reason
from groundmesh_gateway.parsing import media_types
from groundmesh_gateway.parsing.document import ExtractedDocument, unusable

Parser = Callable[[bytes], ExtractedDocument]
"""Turns the bytes of one format into text, or raises what ``unusable`` makes."""

_HERE = "groundmesh_gateway.parsing"
PARSERS: dict[str, str] = {
    media_types.PLAIN: f"{_HERE}.plain_text:parse",
    media_types.HTML: f"{_HERE}.html:parse",
    media_types.PDF: f"{_HERE}.pdf:parse",
    media_types.DOCX: f"{_HERE}.office:docx",
    media_types.PPTX: f"{_HERE}.office:pptx",
    media_types.XLSX: f"{_HERE}.spreadsheet:parse",
    media_types.ODT: f"{_HERE}.office:odt",
    media_types.EPUB: f"{_HERE}.office:epub",
    media_types.RTF: f"{_HERE}.office:rtf",
    media_types.EMAIL: f"{_HERE}.office:email",
    media_types.OLE: f"{_HERE}.ole:parse",
    media_types.JSON_LINES: f"{_HERE}.json_lines:parse",
    "application/xhtml+xml": f"{_HERE}.html:parse",
    "text/csv": f"{_HERE}.delimited:parse",
    "text/tab-separated-values": f"{_HERE}.delimited:parse",
    "text/markdown": f"{_HERE}.markdown:parse",
    "text/x-org": f"{_HERE}.org_mode:parse",
    "text/x-rst": f"{_HERE}.restructured_text:parse",
}
"""The parser of each media type; other types of text are read as plain text."""

_TEXTS = frozenset(
    f"application/{name}"
    for name in (
        *("javascript", "json", "sql", "toml", "typescript", "xml", "yaml", "x-csh", "x-httpd-php"),
        *("x-latex", "x-sh", "x-tcl", "x-tex", "x-texinfo", "x-troff-man", "x-yaml"),
    )
)
"""Types of text whose names do not say so."""


@dataclass(frozen=True)
class Parsed:
    """A document's text, and as what it was read."""

    document: ExtractedDocument
    media_type: str


def parse(data: bytes, *, uri: str, declared_media_type: str = "") -> Parsed:
    """Extract the text of a document; MeshError with the reason when there is none to be had."""
    if not data:
        raise unusable(Reason.DOCUMENT_EMPTY, "it has no bytes")
    media_type = media_types.media_type_of(data, uri=uri, declared=declared_media_type)
    document = _parser(media_type)(data)
    if not document.text.strip():
        if data.isspace():
            raise unusable(Reason.DOCUMENT_EMPTY, "it holds nothing but white space")
        raise unusable(Reason.DOCUMENT_HAS_NO_TEXT, "there is no text in it")
    return Parsed(document, media_type)


def _parser(media_type: str) -> Parser:
    is_text = media_type.startswith("text/") or media_type in _TEXTS
    target = PARSERS.get(media_type) or (PARSERS[media_types.PLAIN] if is_text else "")
    if not target:
        raise unusable(Reason.UNSUPPORTED_MEDIA_TYPE, f"there is no parser for {media_type}")
    module, _, function = target.partition(":")
    return cast(Parser, getattr(import_module(module), function))
