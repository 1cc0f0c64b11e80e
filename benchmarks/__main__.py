"""``make bench``: run every benchmark and print what it measured."""

import asyncio
import os
import platform

from rich.console import Console
from rich.table import Table

from benchmarks import batching, chassis, embedder_bulk
from benchmarks.comparison import Comparison

BENCHMARKS = (chassis.measure, batching.measure, embedder_bulk.measure)


async def measure_all() -> list[Comparison]:
    """Every benchmark, one after the other: they would slow each other down."""
    return [comparison for measure in BENCHMARKS for comparison in await measure()]


def main() -> None:
    """Print a table of ratios."""
    comparisons = asyncio.run(measure_all())
    title = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table("what", "this", "against", "ratio", title=title)
    for comparison in comparisons:
        table.add_row(*comparison.row())
    Console().print(table)


if __name__ == "__main__":
    main()
