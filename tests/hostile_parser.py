"""A parser that does to its process what its document says; no document of ours may say so.

``injected_into`` makes worker processes know it, which otherwise run just what production runs.
"""

import ctypes
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from groundmesh_gateway.parsing.document import ExtractedDocument

MEDIA_TYPE = "application/x-hostile"


def injected_into(folder: Path) -> str:
    """The ``PYTHONPATH`` with which workers read ``MEDIA_TYPE`` with this parser."""
    (folder / "sitecustomize.py").write_text(
        "from groundmesh_gateway.parsing import PARSERS\n"
        f"PARSERS[{MEDIA_TYPE!r}] = 'tests.hostile_parser:parse'\n",
        encoding="utf-8",
    )
    paths = (str(folder), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return os.pathsep.join(filter(None, paths))


def _spin() -> None:
    while True:
        pass


def _recurse() -> None:
    _recurse()


def _hoard() -> None:
    blocks = [bytearray(64 << 20) for _ in range(1000)]
    raise AssertionError(f"{len(blocks)} blocks were to be had")


def _lie() -> None:
    for descriptor in range(3, 32):
        with suppress(OSError):
            os.write(descriptor, b"\xff" * 64)
    time.sleep(600)


def _print() -> None:
    os.write(1, b"\x00\x00\x00\x02{}")


def _write() -> str:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(bytes(1 << 20))
    except OSError as error:
        return f"OSError {error.errno}"
    return "written"


ORDERS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(3),
    "segfault": lambda: ctypes.string_at(0),
    "abort": lambda: signal.raise_signal(signal.SIGABRT),
    "raise": lambda: int("a fault of the parser"),
    "recurse": _recurse,
    "hang": lambda: time.sleep(600),
    "spin": _spin,
    "memory": _hoard,
    "lie": _lie,
    "print": _print,
    "flood": lambda: "word " * 1_000_000,
    "environment": lambda: " ".join(os.environ),
    "write": _write,
    "bytecode": lambda: "not written" if sys.dont_write_bytecode else "written",
}


def parse(data: bytes) -> ExtractedDocument:
    """Do it; the text is what came of it."""
    order = data.decode()
    result = ORDERS[order]() if order in ORDERS else None
    return ExtractedDocument(result if isinstance(result, str) else order, "")
