"""Documents that are zip files: which of them one is, and whether it is encrypted."""

import zipfile
import zlib
from io import BytesIO

from groundmesh.errors import Reason
from groundmesh_gateway.parsing.document import unusable

MAGIC = b"PK\x03\x04"
ZIP = "application/zip"
EPUB = "application/epub+zip"
ODT = "application/vnd.oasis.opendocument.text"
_OFFICE = "application/vnd.openxmlformats-officedocument"
DOCX = f"{_OFFICE}.wordprocessingml.document"
PPTX = f"{_OFFICE}.presentationml.presentation"
XLSX = f"{_OFFICE}.spreadsheetml.sheet"
KINDS = frozenset({EPUB, ODT, DOCX, PPTX, XLSX})

_FOLDERS = {"word": DOCX, "ppt": PPTX, "xl": XLSX}
_MAX_NAME_BYTES = 256
_MAX_LIST_BYTES = 1024 * 1024
_LOCKS = {  # in this part, this says that others are encrypted; fonts alone may be, in books
    "META-INF/manifest.xml": b"encryption-data",
    "META-INF/encryption.xml": b"www.w3.org/2001/04/xmlenc#aes",
}
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a way of compression that it can't undo
    OSError,
    RuntimeError,
    ValueError,
)
"""What ``zipfile`` raises on files that are none."""


def media_type_of(data: bytes, said: str) -> str:
    """What a zip file is by its parts; as it is ``said`` to be when it can't be told."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return _by_parts(archive) or ZIP
    except BROKEN:
        return said if said in KINDS else ZIP


def refuse_encrypted(data: bytes) -> None:
    """Raise DOCUMENT_ENCRYPTED when parts of a zip file are, by any of three ways to do so."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            encrypted = any(part.flag_bits & 1 for part in archive.infolist()) or any(
                sign in _head(archive, name, _MAX_LIST_BYTES) for name, sign in _LOCKS.items()
            )
    except BROKEN:
        return  # its reader will say so
    if encrypted:
        raise unusable(Reason.DOCUMENT_ENCRYPTED, "it needs a password")


def _by_parts(archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if "mimetype" in names:  # OpenDocument and EPUB
        return _head(archive, "mimetype", _MAX_NAME_BYTES).decode("ascii", "replace").strip()
    if "[Content_Types].xml" not in names:
        return ""
    folders = {name.partition("/")[0] for name in names}
    return next((kind for folder, kind in _FOLDERS.items() if folder in folders), "")


def _head(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    if name not in archive.NameToInfo:
        return b""
    with archive.open(name) as part:
        return part.read(size)
