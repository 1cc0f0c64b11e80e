"""``make bench``: run every benchmark that needs nothing, or those that are named.

Those of ``ALONE`` take long, have goals, or need data of the user's: each is named by itself, with
options of its own.
"""

import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import cast

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Comparison

BENCHMARKS = ("chassis", "batching", "embedder_bulk", "search")
NAMED = ("adapters",)
"""Left out unless it is named: it loads the generator's model twice."""
ALONE = {
    "cancelling": "cancelling",
    "gateway": "gateway",
    "generator": "generator",
    "inferred": "inferred",
    "ingest": "ingest",
    "ingest-memory": "ingest_memory",
}


async def measure_all(names: Sequence[str]) -> list[Comparison]:
    """Every benchmark, one after the other: they would slow each other down."""
    return [comparison for name in names for comparison in await _measure(name)()]


def _measure(name: str) -> Callable[[], Awaitable[list[Comparison]]]:
    measure = import_module(f"benchmarks.{name}").measure
    return cast("Callable[[], Awaitable[list[Comparison]]]", measure)


def _run_alone(name: str, arguments: Sequence[str]) -> None:
    run = cast(
        "Callable[[Sequence[str]], Awaitable[None]]", import_module(f"benchmarks.{name}").main
    )

    async def main() -> None:
        await run(arguments)

    asyncio.run(main())


def main() -> None:
    """Print a table of ratios, or what the benchmark prints that is named alone."""
    console = Console()
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    names = sys.argv[1:] or BENCHMARKS
    if names[0] in ALONE:
        return _run_alone(ALONE[names[0]], names[1:])
    if unknown := set(names) - set(BENCHMARKS):
        sys.exit(
            f"no benchmark {', '.join(sorted(unknown))}:"
            f" name some of {', '.join(BENCHMARKS + NAMED)}, or one of {', '.join(ALONE)}"
        )
    table = Table("what", "this", "against", "ratio")
    for comparison in asyncio.run(measure_all(names)):
        table.add_row(*comparison.row())
    console.print(table)
    return None


if __name__ == "__main__":
    main()
