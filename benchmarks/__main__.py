"""``make bench``: run every benchmark, or those that are named, and print what they measured."""

import argparse
import asyncio
import os
import platform
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import cast

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Comparison

BENCHMARKS = ("chassis", "batching", "embedder_bulk", "search")


async def measure_all(names: Sequence[str]) -> list[Comparison]:
    """Every benchmark, one after the other: they would slow each other down."""
    return [comparison for name in names for comparison in await _measure(name)()]


def _measure(name: str) -> Callable[[], Awaitable[list[Comparison]]]:
    measure = import_module(f"benchmarks.{name}").measure
    return cast("Callable[[], Awaitable[list[Comparison]]]", measure)


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    names = parser.parse_args().names or BENCHMARKS
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    comparisons = asyncio.run(measure_all(names))
    title = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table("what", "this", "against", "ratio", title=title)
    for comparison in comparisons:
        table.add_row(*comparison.row())
    Console().print(table)


if __name__ == "__main__":
    main()
