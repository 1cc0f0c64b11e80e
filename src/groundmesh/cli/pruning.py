"""``groundmesh ingest --prune``: documents whose files are gone."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

from groundmesh.cli.places import path_of
from groundmesh.client import Client
from groundmesh.errors import NotFound


async def prune(mesh: Client, folders: Sequence[Path], *, collection: str) -> AsyncIterator[str]:
    """Delete the documents below these folders whose files are gone; their URIs.

    Only what has a ``file://`` URI below one of the folders is looked at, and only what is surely
    not there is gone: a file that exists is kept, even one that is no longer ingested.
    """
    for folder in folders:
        listed = mesh.documents.list(collection, uri_prefix=prefix_of(folder))
        # All of a folder first: a page of a list that shrinks meanwhile would skip some.
        gone = {each.uri: each.name async for each in listed if _is_gone(each.uri)}
        for uri, name in gone.items():
            with suppress(NotFound):  # somebody else was faster
                await mesh.documents.delete(name)
                yield uri


def prefix_of(folder: Path) -> str:
    """How the URIs of all files below a folder begin, and no others."""
    return Path(os.path.abspath(folder)).as_uri().rstrip("/") + "/"  # noqa: PTH100  as Upload.of_file


def _is_gone(uri: str) -> bool:
    path = path_of(uri)
    if path is None:
        return False
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it can't be looked at, which is another matter
    return False
