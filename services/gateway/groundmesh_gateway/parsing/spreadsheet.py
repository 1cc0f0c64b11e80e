"""Spreadsheets: each sheet as a table below its name."""

import datetime as dt
from collections.abc import Iterator
from io import BytesIO

import python_calamine as calamine

from groundmesh.errors import Reason
from groundmesh_gateway.parsing import containers, tables
from groundmesh_gateway.parsing.decoding import tidy
from groundmesh_gateway.parsing.document import ExtractedDocument, Mark, Place, heading, unusable

_Cell = int | float | str | bool | dt.time | dt.date | dt.datetime | dt.timedelta


def parse(data: bytes) -> ExtractedDocument:
    """The values as they were last calculated; sheets without any are left out."""
    containers.refuse_encrypted(data)
    parts: list[str] = []
    marks: list[Mark] = []
    offset = 0
    for name, table in _sheets(data):
        marks.append(Mark(offset, Place(sheet=name), begins_section=True))
        parts.append(f"# {name}\n\n{table}\n\n")
        offset += len(parts[-1])
    return ExtractedDocument(text="".join(parts).rstrip("\n"), title="", marks=tuple(marks))


def _sheets(data: bytes) -> Iterator[tuple[str, str]]:
    try:
        workbook = calamine.CalamineWorkbook.from_filelike(BytesIO(data))
        for name in workbook.sheet_names:
            rows = workbook.get_sheet_by_name(name).iter_rows()
            table = tidy(tables.markdown([_shown(cell) for cell in row] for row in rows))
            if table:
                yield heading(tidy(name)), table
    except (calamine.CalamineError, OSError) as error:
        raise unusable(Reason.DOCUMENT_DAMAGED, f"it can't be read: {error}") from error


def _shown(cell: _Cell) -> str:
    """As a reader knows it: whole numbers without a fraction, dates as ISO 8601 has them."""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ", "minutes")
    return str(cell)
