"""What kind of file a document is: what it was said to be, unless its bytes say better."""

import mimetypes
import re
from urllib.parse import unquote, urlsplit

PLAIN = "text/plain"
HTML = "text/html"
PDF = "application/pdf"

_BUILT_IN = mimetypes.MimeTypes(filenames=())  # not what the machine's own files say
for _suffix in (".md", ".markdown", ".mdown", ".mkd"):
    _BUILT_IN.add_type("text/markdown", _suffix)
_HEAD_BYTES = 1024
_SIGNATURES = ((b"PK\x03\x04", "application/zip"), (rb"{\rtf", "application/rtf"))
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")


def media_type_of(data: bytes, *, uri: str, declared: str = "") -> str:
    """The media type by the bytes' signature, else as ``declared``, else by the URI's suffix.

    A signature goes first because a PDF that is called ``notes.txt`` is still a PDF. Without any
    sign it is plain text, and the decoder finds out whether that is true.
    """
    return _by_signature(data) or essence(declared) or _by_suffix(uri) or _by_markup(data)


def essence(declared: str) -> str:
    """A declared media type without its parameters; empty when it says nothing."""
    kind = declared.partition(";")[0].strip().lower()
    return kind if _TYPE.fullmatch(kind) and kind != "application/octet-stream" else ""


def _by_signature(data: bytes) -> str:
    if b"%PDF-" in data[:_HEAD_BYTES]:  # readers allow rubbish before it
        return PDF
    return next((kind for magic, kind in _SIGNATURES if data.startswith(magic)), "")


def _by_suffix(uri: str) -> str:
    path = unquote(urlsplit(uri).path) if "://" in uri else uri
    guess, encoding = _BUILT_IN.guess_type(path.rsplit("/", 1)[-1], strict=True)
    return f"application/{encoding}" if encoding else guess or ""


def _by_markup(data: bytes) -> str:
    head = data[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return HTML if head.startswith((b"<!doctype html", b"<html")) else PLAIN
