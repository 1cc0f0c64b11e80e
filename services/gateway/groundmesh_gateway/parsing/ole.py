"""Compound files: what Office made before it had zip files, and what it encrypts its files into."""

from typing import NoReturn

from groundmesh.errors import Reason
from groundmesh_gateway.parsing.document import unusable

_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def parse(data: bytes) -> NoReturn:
    """Say why there is no text to be had."""
    if _ENCRYPTED in data:
        raise unusable(Reason.DOCUMENT_ENCRYPTED, "it needs a password")
    message = "there is no parser for Office files from before 2007: save it as a newer one"
    raise unusable(Reason.UNSUPPORTED_MEDIA_TYPE, message)
