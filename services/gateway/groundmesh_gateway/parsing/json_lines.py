"""JSON Lines: a paragraph a record, so that no chunk begins within one that fits."""

import json
from collections.abc import Iterator
from typing import Any

from groundmesh.errors import Reason
from groundmesh_gateway.parsing.decoding import decode, tidy
from groundmesh_gateway.parsing.document import ExtractedDocument, unusable


def parse(data: bytes) -> ExtractedDocument:
    """Each record as lines of ``field: value``; DOCUMENT_DAMAGED names the first bad line."""
    text = "\n\n".join(_records(decode(data)))
    return ExtractedDocument(text=tidy(text), title="")


def _records(text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield "\n".join(_fields("", json.loads(line)))
        except (ValueError, RecursionError) as error:
            message = f"line {number} is no JSON: {error}"
            raise unusable(Reason.DOCUMENT_DAMAGED, message) from error


def _fields(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for each in value:
            yield from _fields(name, each)
    elif value not in (None, "", []):
        shown = ", ".join(map(_shown, value)) if isinstance(value, list) else _shown(value)
        yield f"{name}: {shown}" if name else shown


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
