"""Libraries that read documents, compared: ``python -m benchmarks.parsers FOLDER``.

The folder is that of the sample documents. Each library reads all of them in a process of its own;
those that are not installed are passed over. The words of a reference are counted as tests do.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.sample_documents import FAILURES, name_of, reference_of, samples, share_of_words

ENOUGH = 0.98
TIMEOUT_S = 300
Read = Callable[[Path], str]


def _groundmesh() -> Read:
    from groundmesh_gateway.parsing import parse

    return lambda path: parse(path.read_bytes(), uri=path.as_uri()).document.text


def _xberg() -> Read:
    xberg: Any = import_module("xberg")
    config = xberg.ExtractionConfig(output_format="markdown", use_cache=False, disable_ocr=True)

    def read(path: Path) -> str:
        source = xberg.ExtractInput(kind="bytes", bytes=path.read_bytes(), filename=path.name)
        return str(asyncio.run(xberg.extract(source, config)).results[0].content)

    return read


def _kreuzberg() -> Read:
    kreuzberg: Any = import_module("kreuzberg")
    config = kreuzberg.ExtractionConfig(output_format="markdown", use_cache=False)
    return lambda path: str(kreuzberg.extract_file_sync(str(path), config=config).content)


def _markitdown() -> Read:
    converter = import_module("markitdown").MarkItDown()
    return lambda path: str(converter.convert_local(str(path)).text_content)


def _extractous() -> Read:
    extractor = import_module("extractous").Extractor()
    return lambda path: str(extractor.extract_file_to_string(str(path))[0])


CANDIDATES: dict[str, Callable[[], Read]] = {
    "groundmesh": _groundmesh,
    "xberg": _xberg,
    "kreuzberg": _kreuzberg,
    "markitdown": _markitdown,
    "extractous": _extractous,
}


@dataclass(frozen=True)
class Result:
    """What a library made of the samples."""

    unread: list[str]
    """Sound files from which no text came."""
    taken: list[str]
    """Files without text, or locked ones, from which text came."""
    shares: dict[str, float]
    """Of the words of each reference."""
    load_s: float
    """Of CPU, all threads together: it does not matter what else the machine does."""
    read_s: float
    """Of CPU, for all samples."""
    peak_mb: int


def measure(name: str, folder: Path) -> Result:
    """Let one library read all samples, in this process."""
    began = time.process_time()
    read = CANDIDATES[name]()
    loaded = time.process_time()
    texts = {path: _text(read, path) for path in samples(folder)}
    done = time.process_time()
    references = {path: reference_of(path) for path in texts}
    return Result(
        unread=[name_of(path) for path, text in texts.items() if not text and not _bad(path)],
        taken=[name_of(path) for path, text in texts.items() if text and _bad(path)],
        shares={
            name_of(path): share_of_words(reference, texts[path])
            for path, reference in references.items()
            if reference
        },
        load_s=loaded - began,
        read_s=done - loaded,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def _text(read: Read, path: Path) -> str:
    # Each has errors of its own, and none has one of ours.
    with contextlib.suppress(Exception):
        return read(path).strip()
    return ""


def _bad(path: Path) -> bool:
    return name_of(path) in FAILURES


def _apart(name: str, folder: Path) -> Result | None:
    """In a process of its own, as a library may end it; None when it did, or is not installed."""
    command = [sys.executable, "-m", "benchmarks.parsers", str(folder), "--only", name]
    done = subprocess.run(
        command, capture_output=True, timeout=TIMEOUT_S, check=False, env=os.environ
    )
    lines = done.stdout.splitlines()
    return Result(**json.loads(lines[-1])) if not done.returncode and lines else None


def _row(name: str, result: Result) -> tuple[str, ...]:
    enough = [share for share in result.shares.values() if share >= ENOUGH]
    return (
        name,
        str(len(result.unread)),
        str(len(result.taken)),
        f"{len(enough)} of {len(result.shares)}",
        f"{min(result.shares.values()):.3f}",
        f"{result.load_s:.1f}",
        f"{result.read_s:.1f}",
        str(result.peak_mb),
    )


def main() -> None:
    """Print a row for each library, and below it what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=CANDIDATES, help="This one alone, as JSON.")
    options = parser.parse_args()
    if options.only:
        sys.stdout.write(json.dumps(vars(measure(options.only, options.folder))) + "\n")
        sys.stdout.flush()
        os._exit(0)  # threads of a library may crash when the interpreter ends under them
    columns = ("unread", "taken", "words >= 98 %", "lowest", "load CPU s", "read CPU s", "peak MB")
    table = Table("library", *columns)
    console = Console()
    for name in CANDIDATES:
        result = _apart(name, options.folder)
        if result is None:
            console.print(f"{name}: not installed, or it ended its process")
            continue
        table.add_row(*_row(name, result))
        low = {path: round(share, 3) for path, share in result.shares.items() if share < ENOUGH}
        console.print(f"{name}: unread {result.unread}, taken {result.taken}, low {low}")
    console.print(table)


if __name__ == "__main__":
    main()
