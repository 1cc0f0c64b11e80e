"""Documents that tests make themselves."""

import zlib

import pytest

from groundmesh.errors import MeshError
from groundmesh_gateway.parsing import parse
from groundmesh_gateway.parsing.document import ExtractedDocument


def pdf(*pages: str, title: str = "", content: bytes | None = None) -> bytes:
    """A PDF with a line of text a page; or with one page of this compressed content stream."""
    streams = [_text_stream(page) for page in pages] if content is None else [content]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(streams)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(streams)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, stream in enumerate(streams):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * number)
        )
        head = b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(stream)
        objects.append(head + stream + b"\nendstream")
    objects.append(f"<< /Title ({title}) >>".encode())
    return _assembled(objects)


def _text_stream(text: str) -> bytes:
    shown = text.encode("cp1252").replace(b"(", rb"\(").replace(b")", rb"\)")
    return zlib.compress(b"BT /F1 12 Tf 72 700 Td (" + shown + b") Tj ET")


def _assembled(objects: list[bytes]) -> bytes:
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size + table
    trailer = b"<< /Size %d /Root 1 0 R /Info %d 0 R >>" % (size, len(objects))
    return out + b"trailer " + trailer + b"\nstartxref\n%d\n%%%%EOF" % start


def compressed(unit: bytes, times: int) -> bytes:
    """What unpacks to ``times`` units: a decompression bomb."""
    packer = zlib.compressobj(9)
    return b"".join([packer.compress(unit) for _ in range(times)]) + packer.flush()


def parsed(data: bytes, uri: str, media_type: str = "") -> ExtractedDocument:
    """The document in it."""
    return parse(data, uri=uri, declared_media_type=media_type).document


def refusal(data: bytes, uri: str) -> MeshError:
    """Why there is no document in it."""
    with pytest.raises(MeshError) as caught:
        parsed(data, uri)
    return caught.value
