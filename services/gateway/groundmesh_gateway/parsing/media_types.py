"""What kind of file a document is: what its bytes say, else what it was said to be."""

import mimetypes
import re
from urllib.parse import unquote, urlsplit

from groundmesh_gateway.parsing import containers

PLAIN = "text/plain"
HTML = "text/html"
PDF = "application/pdf"
RTF = "application/rtf"
OLE = "application/x-ole-storage"
EMAIL = "message/rfc822"
EPUB = containers.EPUB
ODT = containers.ODT
DOCX = containers.DOCX
PPTX = containers.PPTX
XLSX = containers.XLSX
JSON_LINES = "application/x-ndjson"

_SUFFIXES = {
    "text/markdown": (".md", ".markdown", ".mdown", ".mkd"),
    "text/x-rst": (".rst", ".rest"),
    "text/x-org": (".org",),
    "text/x-typescript": (".ts", ".tsx"),  # elsewhere, .ts is video
    "application/xhtml+xml": (".xhtml",),
    JSON_LINES: (".jsonl", ".ndjson"),
    RTF: (".rtf",),
    EPUB: (".epub",),
    ODT: (".odt",),
    DOCX: (".docx", ".docm"),
    PPTX: (".pptx", ".pptm"),
    XLSX: (".xlsx", ".xlsm"),
}
_BUILT_IN = mimetypes.MimeTypes(filenames=())  # not what the machine's own files say
for _type, _ends in _SUFFIXES.items():
    for _end in _ends:
        _BUILT_IN.add_type(_type, _end)

_HEAD_BYTES = 1024
_SIGNATURES = ((rb"{\rtf", RTF), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE))
_BINARY = frozenset({PDF, RTF, OLE, *containers.KINDS})
"""What has a signature: bytes without it are something else, or damaged."""
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_SYNONYMS = {"text/rtf": RTF, "application/jsonl": JSON_LINES, "application/jsonlines": JSON_LINES}


def media_type_of(data: bytes, *, uri: str, declared: str = "") -> str:
    """The media type by the bytes' signature, else as ``declared``, else by the URI's suffix.

    A signature goes first because a PDF that is called ``notes.txt`` is still a PDF, and a web
    page that was saved as ``report.docx`` a web page. Without any sign it is plain text, and the
    decoder finds out whether that is true.
    """
    said = essence(declared) or _by_suffix(uri)
    signed = _by_signature(data, said)
    if signed:
        return signed
    if said in {"", PLAIN, *_BINARY} and _is_html(data):
        return HTML
    return said or PLAIN


def essence(declared: str) -> str:
    """A declared media type without its parameters; empty when it says nothing."""
    kind = declared.partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(kind) or kind == "application/octet-stream":
        return ""
    return _SYNONYMS.get(kind, kind)


def _by_signature(data: bytes, said: str) -> str:
    if data.startswith(containers.MAGIC):
        return containers.media_type_of(data, said)
    signed = next((kind for magic, kind in _SIGNATURES if data.startswith(magic)), "")
    # Readers allow rubbish before a PDF; in a text about PDF it is no rubbish.
    rubbish = PDF if b"%PDF-" in data[:_HEAD_BYTES] else ""
    return signed or rubbish


def _by_suffix(uri: str) -> str:
    path = unquote(urlsplit(uri).path) if "://" in uri else uri
    guess, encoding = _BUILT_IN.guess_type(path.rsplit("/", 1)[-1], strict=True)
    return f"application/{encoding}" if encoding else guess or ""


def _is_html(data: bytes) -> bool:
    head = data[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html"))
