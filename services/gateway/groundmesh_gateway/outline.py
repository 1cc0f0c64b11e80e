"""What splitting a text anew takes beside it: the title it is read under, and its marks.

JSON Lines: the title, then a line for each mark, its offset in UTF-8 bytes. The retriever keeps it
with the document and does not look into it.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from groundmesh_gateway.parsing.document import ExtractedDocument, Mark, Place


def to_outline(document: ExtractedDocument, *, title: str) -> bytes:
    """The outline of a document that is read under ``title``."""
    return b"\n".join(_dump(line) for line in (title, *_marks(document)))


def from_outline(text: str, outline: bytes) -> ExtractedDocument:
    """The document again; one without an outline is text alone."""
    if not outline:
        return ExtractedDocument(text=text, title="")
    title, *lines = outline.split(b"\n")
    data = text.encode()
    marks = []
    character = byte = 0
    for line in lines:
        mark = json.loads(line)
        offset = mark.pop("offset")
        character += len(data[byte:offset].decode())
        byte = offset
        marks.append(Mark(offset=character, **{**mark, "place": _place(mark["place"])}))
    return ExtractedDocument(text=text, title=json.loads(title), marks=tuple(marks))


def _marks(document: ExtractedDocument) -> Iterator[dict[str, Any]]:
    character = byte = 0
    for mark in document.marks:
        byte += len(document.text[character : mark.offset].encode())
        character = mark.offset
        yield {**asdict(mark), "offset": byte}


def _place(fields: dict[str, Any]) -> Place:
    return Place(**{**fields, "heading_path": tuple(fields["heading_path"])})


def _dump(line: object) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()
