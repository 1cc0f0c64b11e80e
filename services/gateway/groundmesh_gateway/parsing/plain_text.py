"""Plain text, and whatever else is text and has no parser of its own."""

from groundmesh_gateway.parsing.decoding import decode
from groundmesh_gateway.parsing.document import ExtractedDocument


def parse(data: bytes) -> ExtractedDocument:
    """The text itself; it has neither title nor headings."""
    return ExtractedDocument(text=decode(data), title="")
