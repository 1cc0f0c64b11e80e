"""Bytes of unknown encoding to text."""

import codecs
import re

from charset_normalizer import from_bytes

from groundmesh.errors import MeshError, Reason
from groundmesh_gateway.parsing.document import unusable

_BOMS = (  # the longer ones first: UTF-32-LE begins like UTF-16-LE
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 256 * 1024
_MAX_DAMAGE = 0.1
"""Share of the non-ASCII characters that may be broken in what still counts as UTF-8."""
_MAX_CONTROLS = 0.02
"""Share of control characters above which bytes are no text."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_NEWLINES = re.compile(r"\r\n?|\x0c")


def decode(data: bytes, *, declared: str = "") -> str:
    """The text of ``data``, tidied; UNSUPPORTED_MEDIA_TYPE when it is none.

    UTF-8 goes before the ``declared`` encoding: text in another one is hardly ever valid UTF-8.
    """
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "")
    text = _strictly(data, encoding) if encoding else _utf8(data)
    if text is None and declared:
        text = _strictly(data, _as_browsers_do(declared))
    if text is None:
        text = _damaged_utf8(data) or _guessed(data)
    cleaned, controls = _CONTROLS.subn("", text)
    if controls > _MAX_CONTROLS * len(text):
        raise _not_text()
    return tidy(cleaned)


def tidy(text: str) -> str:
    """Make every newline a line feed, and drop what is no character."""
    cleaned = _CONTROLS.sub("", _NEWLINES.sub("\n", text))
    try:
        cleaned.encode()
    except UnicodeEncodeError:  # lone surrogates
        return cleaned.encode("utf-8", "replace").decode()
    return cleaned


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (LookupError, ValueError):
        return None


def _as_browsers_do(encoding: str) -> str:
    """WHATWG: who says Latin-1 or ASCII means Windows-1252."""
    known = encoding.strip().lower()
    return "cp1252" if known in {"iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"} else known


def _utf8(data: bytes) -> str | None:
    # ASCII in UTF-16 without a byte order mark is valid UTF-8, half of it NUL.
    return None if b"\x00" in data else _strictly(data, "utf-8")


def _damaged_utf8(data: bytes) -> str | None:
    """UTF-8 with a few broken characters, which guessing would make mojibake of."""
    if b"\x00" in data:
        return None
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    return text if broken <= _MAX_DAMAGE * foreign else None


def _guessed(data: bytes) -> str:
    best = from_bytes(data[:_SAMPLE_BYTES]).best()
    if best is None:
        raise _not_text()
    return data.decode(best.encoding, "replace")


def _not_text() -> MeshError:
    return unusable(Reason.UNSUPPORTED_MEDIA_TYPE, "its bytes are no text in any known encoding")
