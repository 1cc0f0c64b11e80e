"""Whatever was done to a document, it is read or refused: no error of a library comes through."""

import zipfile
from contextlib import suppress
from io import BytesIO

from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.errors import MeshError
from tests.documents_by_hand import parsed, pdf
from tests.office_by_hand import docx, epub, odt, paragraph, pptx, xlsx, zipped

TABLE = (
    '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/><w:vMerge w:val="restart"/></w:tcPr>'
    "<w:p/></w:tc></w:tr><w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr><w:p/></w:tc></w:tr></w:tbl>"
)
DOCUMENTS = {
    "a.docx": docx(paragraph("Top", "Heading1") + paragraph("text") + TABLE),
    "a.pptx": pptx(["Title", "text"], ["Another"]),
    "a.xlsx": xlsx({"Sheet": [["a", "b"], ["1", "2"]]}),
    "a.odt": odt('<text:h text:outline-level="1">Top</text:h><text:p>text</text:p>'),
    "a.epub": epub("<h1>One</h1><p>text</p>", "<p>more</p>"),
    "a.pdf": pdf("text", "more"),
    "a.rtf": rb"{\rtf1\ansi text {\b bold}\par \u8364? \'e9}",
    "a.eml": b"Subject: x\nContent-Type: text/html; charset=utf-8\n\n<p>text</p>\n",
    "a.csv": b'a;b\n"1";2\n',
    "a.jsonl": b'{"a": [1, {"b": null}]}\n',
    "a.rst": b"Title\n=====\n\ntext\n",
}
CHANGE = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 12), st.binary(max_size=6))
"""Where, how many bytes are lost there, and what is put in their place."""


def changed(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for where, lost, put in changes:
        at = int(where * len(data))
        data = data[:at] + put + data[at + lost :]
    return data


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(DOCUMENTS)), st.lists(CHANGE, min_size=1, max_size=5))
def test_bytes_may_be_changed(uri: str, changes: list[tuple[float, int, bytes]]) -> None:
    with suppress(MeshError):
        parsed(changed(DOCUMENTS[uri], changes), uri)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["a.docx", "a.pptx", "a.xlsx", "a.odt", "a.epub"]),
    st.integers(0, 20),
    st.lists(CHANGE, min_size=1, max_size=5),
)
def test_parts_may_be_changed(uri: str, part: int, changes: list[tuple[float, int, bytes]]) -> None:
    with zipfile.ZipFile(BytesIO(DOCUMENTS[uri])) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = sorted(parts)[part % len(parts)]
    with suppress(MeshError):
        parsed(zipped({**parts, name: changed(parts[name], changes)}), uri)
