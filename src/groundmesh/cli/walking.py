"""Which files the paths of a command line stand for."""

import mimetypes
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundmesh.cli.problems import Exit, Problem

# Files that hold no text to ingest, by what their name says. A folder is full of them; one that
# is named itself is sent, so that its user learns what the mesh thinks of it.
_TEXTLESS_KINDS = ("audio", "font", "image", "video")
_TEXTLESS_TYPES = frozenset(
    {
        "application/gzip",
        "application/java-archive",
        "application/octet-stream",
        "application/vnd.sqlite3",
        "application/x-7z-compressed",
        "application/x-bzip2",
        "application/x-python-code",
        "application/x-sharedlib",
        "application/x-tar",
        "application/zip",
    }
)

_TEXTS = frozenset({".cts", ".mod", ".mts", ".ts"})
"""Source code that shares the end of its name with video and sound."""


@dataclass(frozen=True)
class Found:
    """Files to ingest, each once, and how many were passed over by the end of their names."""

    files: tuple[Path, ...]
    passed_over: Counter[str] = field(default_factory=Counter)
    folders: tuple[Path, ...] = ()
    """Those that were named."""
    unread: tuple[OSError, ...] = ()
    """Why some could not be looked into."""


def find_files(paths: Sequence[Path]) -> Found:
    """The files that are named, and those below the folders that are named, sorted.

    Hidden files and folders are left out, links to folders are not followed.

    Raises:
        Problem: a path is not there.
    """
    found: dict[Path, None] = {}
    passed_over: Counter[str] = Counter()
    folders: list[Path] = []
    unread: list[OSError] = []
    for path in paths:
        if not path.exists():
            raise Problem(f"{path}: there is no such file or folder", exit_code=Exit.USAGE)
        if not path.is_dir():
            found[path] = None
            continue
        folders.append(path)
        for file in _below(path, unread):
            if _is_textless(file):
                passed_over[file.suffix.lower() or file.name] += 1
            else:
                found[file] = None
    return Found(tuple(found), passed_over, tuple(folders), tuple(unread))


def _below(folder: Path, unread: list[OSError]) -> Iterator[Path]:
    for where, folders, files in os.walk(folder, onerror=unread.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(files) if not name.startswith("."))


def _is_textless(file: Path) -> bool:
    if file.suffix.lower() in _TEXTS:
        return False
    kind, encoding = mimetypes.guess_type(file.name)
    if encoding is not None:  # compressed
        return True
    return kind is not None and (kind.split("/")[0] in _TEXTLESS_KINDS or kind in _TEXTLESS_TYPES)
