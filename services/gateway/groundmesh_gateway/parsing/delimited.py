"""Comma-separated values and their like, as a table."""

import csv
import io

from groundmesh.errors import Reason
from groundmesh_gateway.parsing import tables
from groundmesh_gateway.parsing.decoding import decode
from groundmesh_gateway.parsing.document import ExtractedDocument, unusable

_DELIMITERS = ",;\t|"
_SAMPLE_CHARS = 16 * 1024
_MAX_CELL_CHARS = 16 * 1024 * 1024


def parse(data: bytes) -> ExtractedDocument:
    """The rows; what separates their cells is found out."""
    text = decode(data)
    csv.field_size_limit(_MAX_CELL_CHARS)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=_delimiter(text[:_SAMPLE_CHARS])))
    except csv.Error as error:
        raise unusable(Reason.DOCUMENT_DAMAGED, f"it is no table: {error}") from error
    return ExtractedDocument(text=tables.markdown(rows), title="")


def _delimiter(sample: str) -> str:
    try:
        return csv.Sniffer().sniff(sample, _DELIMITERS).delimiter
    except csv.Error:  # a single column, say
        return ","
