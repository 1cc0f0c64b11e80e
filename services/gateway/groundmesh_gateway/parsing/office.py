"""Files of word processors and presentations, books and mail, read by xberg."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import xberg

from groundmesh.errors import MeshError, Reason
from groundmesh_gateway.parsing import containers, outline
from groundmesh_gateway.parsing.document import ExtractedDocument, Place, unusable
from groundmesh_gateway.parsing.media_types import DOCX, EMAIL, EPUB, ODT, PPTX, RTF
from groundmesh_gateway.parsing.outline import Node
from groundmesh_gateway.parsing.word_tables import with_cells_repeated

_CONFIG = xberg.ExtractionConfig(
    include_document_structure=True,
    use_cache=False,
    disable_ocr=True,
    enable_quality_processing=False,
    extraction_timeout_secs=None,  # the gateway holds the clock
    # Else a long table is refused; the worker's memory is limited anyway.
    security_limits=xberg.SecurityLimits(max_table_cells=10_000_000),
)
_BODY = frozenset({xberg.ContentLayer.BODY, xberg.ContentLayer.FOOTNOTE})
_FURNITURE = {"node_type": "furniture"}
"""Headers and footers, which are the same on every page."""
_TOO_LARGE = ("zip bomb", "limit exceeded", "security violation", "too large")


def docx(data: bytes) -> ExtractedDocument:
    """A text with its headings, and its pages where it says where they end."""
    containers.refuse_encrypted(data)
    return _read(with_cells_repeated(data), DOCX)


def odt(data: bytes) -> ExtractedDocument:
    """A text with its headings."""
    containers.refuse_encrypted(data)
    return _read(data, ODT)


def epub(data: bytes) -> ExtractedDocument:
    """The chapters of a book."""
    containers.refuse_encrypted(data)
    return _read(data, EPUB)


def rtf(data: bytes) -> ExtractedDocument:
    """A text with its headings."""
    if not data.lstrip().startswith(b"{\\rtf"):
        raise unusable(Reason.DOCUMENT_DAMAGED, "it does not begin as RTF does")
    return _read(data, RTF)


def email(data: bytes) -> ExtractedDocument:
    """The header fields that a reader sees, the text, and the text of what is attached."""
    return _read(data, EMAIL)


def pptx(data: bytes) -> ExtractedDocument:
    """Each slide below its first line, which is taken for its title."""
    containers.refuse_encrypted(data)
    title, nodes = _nodes(data, PPTX)
    return outline.document(list(_titled(nodes)), title=title, place_of=_slide)


def _read(data: bytes, media_type: str) -> ExtractedDocument:
    title, nodes = _nodes(data, media_type)
    if max((node.page or 1 for node in nodes), default=1) == 1:  # it does not say where pages end
        nodes = [replace(node, page=None) for node in nodes]
    return outline.document(nodes, title=title or _title_within(nodes), place_of=Place)


def _title_within(nodes: Sequence[Node]) -> str:
    for node in nodes:
        if node.kind == "title" or (node.kind == "heading" and node.content["level"] == 1):
            return str(node.content["text"])
        if node.kind == "metadata_block":
            fields = {entry["key"]: entry["value"] for entry in node.content["entries"]}
            return str(fields.get("Subject", ""))
    return ""


def _slide(path: tuple[str, ...], page: int | None) -> Place:
    return Place(heading_path=path, slide=page)


def _titled(nodes: Sequence[Node]) -> Iterator[Node]:
    slide: int | None = None
    for node in nodes:
        if node.kind == "paragraph" and node.page != slide:
            slide = node.page
            title = {"node_type": "heading", "level": 1, "text": node.content["text"]}
            yield replace(node, content=title)
        else:
            yield node


def _nodes(data: bytes, media_type: str) -> tuple[str, list[Node]]:
    """The title and the elements of the document."""
    source = xberg.ExtractInput(kind="bytes", bytes=data, mime_type=media_type)
    try:
        (result,) = asyncio.run(xberg.extract(source, _CONFIG)).results
    except RuntimeError as error:
        raise _refusal(str(error)) from error
    elements = result.document.nodes if result.document else []
    nodes = [
        Node(
            json.loads(str(element.content)) if element.content_layer in _BODY else _FURNITURE,
            element.parent,
            element.page,
        )
        for element in elements
    ]
    return result.metadata.title or "", nodes


def _refusal(said: str) -> MeshError:
    """What its one kind of error is about."""
    known = said.lower()
    if any(sign in known for sign in _TOO_LARGE):
        return unusable(Reason.DOCUMENT_TOO_LARGE, f"it unpacks to too much: {said}")
    if "password" in known or "encrypted" in known:
        return unusable(Reason.DOCUMENT_ENCRYPTED, "it needs a password")
    if "panic" in known:
        return unusable(Reason.PARSER_CRASHED, "the parser failed on it")
    return unusable(Reason.DOCUMENT_DAMAGED, f"it can't be read: {said}")
