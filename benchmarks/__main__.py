"""``make bench``: run every benchmark that needs nothing, or the one that is named."""

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import batching, chassis, embedder_bulk, ingest, ingest_memory
from benchmarks.comparison import Comparison

BENCHMARKS = (chassis.measure, batching.measure, embedder_bulk.measure)
BY_NAME: Mapping[str, Callable[[Sequence[str]], Coroutine[Any, Any, None]]] = {
    "ingest": ingest.main,
    "ingest-memory": ingest_memory.main,
}
"""Those that take long or data of the user's; each with options of its own."""


async def measure_all() -> list[Comparison]:
    """Every benchmark, one after the other: they would slow each other down."""
    return [comparison for measure in BENCHMARKS for comparison in await measure()]


def machine() -> str:
    """Where this was measured."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def main() -> None:
    """Print a table of ratios, or what the named benchmark prints."""
    name, *arguments = sys.argv[1:] or [""]
    Console().print(machine())
    if name:
        if name not in BY_NAME:
            sys.exit(f"no benchmark {name!r}: leave it out, or name one of {', '.join(BY_NAME)}")
        asyncio.run(BY_NAME[name](arguments))
        return
    table = Table("what", "this", "against", "ratio")
    for comparison in asyncio.run(measure_all()):
        table.add_row(*comparison.row())
    Console().print(table)


if __name__ == "__main__":
    main()
