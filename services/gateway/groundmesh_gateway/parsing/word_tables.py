"""Merged cells of tables in Word files, made whole before such a file is read.

Its reader knows nothing of merged cells: it gives their text once, and leaves the other columns
and rows empty that they reach over, so that a row says no more what it is about.
"""

import zipfile
from io import BytesIO
from xml.parsers import expat

from groundmesh_gateway.parsing import containers

_PART = "word/document.xml"
_SIGNS = (b"<w:gridSpan", b"<w:vMerge", b"<w:gridBefore")
_MAX_RATIO = 100
"""Of unpacked to packed bytes: what is above is left to the reader, which refuses it."""
_MAX_COLUMNS = 63
"""Word's own limit."""
_EMPTY_CELL = b"<w:tc><w:p/></w:tc>"


def with_cells_repeated(data: bytes) -> bytes:
    """The file with the content of merged cells in each place they reach; without its images."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = [
                part for part in archive.infolist() if part.filename.endswith((".xml", ".rels"))
            ]
            if sum(part.file_size for part in parts) > _MAX_RATIO * len(data):
                return data
            source = archive.read(_PART)
            if not any(sign in source for sign in _SIGNS):
                return data
            texts = {part.filename: archive.read(part) for part in parts}
        texts[_PART] = _Repeater(source).result()
    except (*containers.BROKEN, KeyError, expat.ExpatError):
        return data  # its reader will say what is wrong with it
    return _stored(texts)


def _stored(parts: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


class _Table:
    """Where in a table one is."""

    def __init__(self) -> None:
        self.column = 0
        self.skipped = 0
        """Columns before the first cell of the row."""
        self.above: dict[int, bytes] = {}
        """By column, the cell that goes on below."""


class _Cell:
    def __init__(self) -> None:
        self.source = bytearray()
        self.columns = 1
        self.merge = ""


class _Repeater:
    """Copies WordprocessingML byte by byte but for the cells that are to be repeated."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._copied = 0
        self._tables: list[_Table] = []
        self._cells = [_Cell()]
        """The cells one is in, outermost first; the first of all is the document."""
        self._budget = 4 * len(source)
        """Bytes that repetitions may add: cells within cells would multiply."""
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end

    def result(self) -> bytes:
        """The whole document."""
        self._parser.Parse(self._source, True)
        self._copy_to(len(self._source))
        return bytes(self._cells[0].source)

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        value = attributes.get("w:val", "")
        if name == "w:tbl":
            self._tables.append(_Table())
        elif not self._tables:
            return
        elif name == "w:tr":
            self._tables[-1].column = self._tables[-1].skipped = 0
        elif name == "w:gridBefore":
            self._tables[-1].skipped = _count(value)
        elif name == "w:tc":
            self._begin_cell(self._tables[-1])
        elif name in {"w:gridSpan", "w:vMerge"}:
            self._copy_to(self._parser.CurrentByteIndex)
            if name == "w:vMerge":
                self._cells[-1].merge = value or "continue"
            else:
                self._cells[-1].columns = _count(value)

    def _end(self, name: str) -> None:
        if name == "w:tbl" and self._tables:
            self._tables.pop()
        elif name in {"w:gridSpan", "w:vMerge"} and self._tables:
            self._copied = self._behind_tag(name)  # it is true no more
        elif name == "w:tc" and self._tables:
            self._copy_to(self._behind_tag(name))
            self._end_cell(self._tables[-1], self._cells.pop())

    def _begin_cell(self, table: _Table) -> None:
        self._copy_to(self._parser.CurrentByteIndex)
        if table.skipped and not table.column:
            self._cells[-1].source += _EMPTY_CELL * table.skipped
            table.column = table.skipped
        self._cells.append(_Cell())

    def _end_cell(self, table: _Table, cell: _Cell) -> None:
        content = bytes(cell.source)
        if cell.merge == "continue":
            content = self._afforded(table.above.get(table.column, content))
        for number in range(cell.columns):
            self._cells[-1].source += self._afforded(content) if number else content
            if cell.merge:
                table.above[table.column] = content
            table.column += 1

    def _afforded(self, content: bytes) -> bytes:
        self._budget -= len(content)
        return content if self._budget > 0 else _EMPTY_CELL

    def _copy_to(self, index: int) -> None:
        self._cells[-1].source += self._source[self._copied : index]
        self._copied = index

    def _behind_tag(self, name: str) -> int:
        """Where the tag ends that was just read; of an empty element, expat says that itself."""
        index = self._parser.CurrentByteIndex
        if not self._source.startswith(f"</{name}".encode(), index):
            return index
        return self._source.index(b">", index) + 1


def _count(value: str) -> int:
    return min(int(value), _MAX_COLUMNS) if value.isdecimal() else 1
