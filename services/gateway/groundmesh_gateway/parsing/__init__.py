"""Documents of many formats to text, each by one function; run this in a worker process only."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from groundmesh.errors import Reason
from groundmesh_gateway.parsing.document import ExtractedDocument, unusable
from groundmesh_gateway.parsing.media_types import PLAIN, media_type_of

Parser = Callable[[bytes], ExtractedDocument]
"""Turns the bytes of one format into text, or raises what ``unusable`` makes."""

PARSERS: dict[str, str] = {
    PLAIN: "groundmesh_gateway.parsing.plain_text:parse",
    "text/markdown": "groundmesh_gateway.parsing.markdown:parse",
    "text/html": "groundmesh_gateway.parsing.html:parse",
    "application/xhtml+xml": "groundmesh_gateway.parsing.html:parse",
    "application/pdf": "groundmesh_gateway.parsing.pdf:parse",
}
"""The parser of each media type; other ``text/…`` types are read as plain text."""


@dataclass(frozen=True)
class Parsed:
    """A document's text, and as what it was read."""

    document: ExtractedDocument
    media_type: str


def parse(data: bytes, *, uri: str, declared_media_type: str = "") -> Parsed:
    """Extract the text of a document; MeshError with the reason when there is none to be had."""
    if not data:
        raise unusable(Reason.DOCUMENT_EMPTY, "it has no bytes")
    media_type = media_type_of(data, uri=uri, declared=declared_media_type)
    document = _parser(media_type)(data)
    if not document.text.strip():
        if data.isspace():
            raise unusable(Reason.DOCUMENT_EMPTY, "it holds nothing but white space")
        raise unusable(Reason.DOCUMENT_HAS_NO_TEXT, "there is no text in it")
    return Parsed(document, media_type)


def _parser(media_type: str) -> Parser:
    target = PARSERS.get(media_type) or (PARSERS[PLAIN] if media_type.startswith("text/") else "")
    if not target:
        raise unusable(Reason.UNSUPPORTED_MEDIA_TYPE, f"there is no parser for {media_type}")
    module, _, function = target.partition(":")
    return cast(Parser, getattr(import_module(module), function))
