"""Files and their URIs, and how a person is told where a passage stands."""

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from groundmesh.cli.output import printable
from groundmesh.client import Place


def display_uri(uri: str) -> str:
    """A file below the working directory by its relative path, another by its path, a URI as is."""
    path = path_of(uri)
    if path is None:
        return printable(uri)
    try:
        return printable(str(path.relative_to(Path.cwd())))
    except ValueError:
        return printable(str(path))


def path_of(uri: str) -> Path | None:
    """The path of a ``file://`` URI of this machine, None of any other."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return Path(os.fsdecode(unquote_to_bytes(parts.path)))


def uri_of(reference: str) -> str:
    """A document as a person names it: a URI, a resource name or id as is, else a file's path."""
    is_id = len(reference) == 32 and all(digit in "0123456789abcdef" for digit in reference)  # noqa: PLR2004
    if "://" in reference or reference.startswith("tenants/") or is_id:
        return reference
    return Path(os.path.abspath(reference)).as_uri()  # noqa: PTH100  as Upload.of_file


def place_text(uri: str, place: Place) -> str:
    """File and place: ``guide.pdf, page 3, Setup > Linux``."""
    return ", ".join(part for part in (display_uri(uri), printable(str(place))) if part)
