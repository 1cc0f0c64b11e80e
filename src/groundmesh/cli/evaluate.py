"""``groundmesh eval retrieval``."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from groundmesh.cli.corpus import check_installed, default_collection, ingest_corpus
from groundmesh.cli.options import FusionName, SearchModeName
from groundmesh.cli.output import (
    console,
    counted,
    print_json,
    print_notes,
    print_table,
    progress_bar,
)
from groundmesh.cli.problems import Exit, Problem
from groundmesh.cli.retrieval import retrieval
from groundmesh.client import Client, Retrieval
from groundmesh.errors import FailedPrecondition, Reason

if TYPE_CHECKING:
    from groundmesh.eval.beir import Dataset
    from groundmesh.eval.report import ModeReport
    from groundmesh.eval.searching import Searched, Searching

DEPTH = 100
"""How many documents each search finds: those that Recall@100 looks at."""


@dataclass(frozen=True)
class Evaluation:
    """What is asked for."""

    folder: Path
    split: str
    collection: str | None
    searches: Mapping[str, Retrieval]
    """By the name under which each is reported."""
    concurrency: int
    timeout_s: float
    plot: Path | None


async def evaluate(asked: Evaluation, *, server: str, as_json: bool) -> Exit:
    """Ingest a data set, put its queries in every mode, and print the measures."""
    check_installed()
    from groundmesh.eval import beir, plot

    if asked.plot is not None:
        plot.check_name(asked.plot)
    dataset = await asyncio.to_thread(beir.load, asked.folder, split=asked.split)
    collection = asked.collection or default_collection(dataset.name)
    print_notes(_notes(dataset))
    async with Client(server) as mesh:
        tally = await ingest_corpus(
            mesh, dataset.uploads(), collection=collection, total=dataset.documents
        )
        reports = await _reports(mesh, dataset, collection, asked)
    if not reports:
        raise Problem("no mode could be evaluated")
    if as_json:
        modes = [report.as_json() for report in reports]
        print_json({"dataset": dataset.name, "modes": modes})
    else:
        _print_reports(reports)
    if asked.plot is not None:
        await asyncio.to_thread(plot.draw, asked.plot, dataset.name, reports)
    return Exit.FAILED if tally.failures else Exit.DONE


def searches(
    modes: Sequence[SearchModeName],
    *,
    fusion: FusionName | None = None,
    dense_weight: float | None = None,
    rerank: bool = False,
) -> dict[str, Retrieval]:
    """The search of each mode, and with ``rerank`` each once more, reranked."""
    named = {}
    for mode in modes:
        for reranked in (False, True) if rerank else (False,):
            found = retrieval(
                mode,
                DEPTH,
                where=None,
                fusion=fusion,
                dense_weight=dense_weight,
                rerank=reranked,
                diversity=None,
                merge_neighbors=False,
            )
            # A document's best chunk is its place, so no other one of it need be sent.
            search = replace(found, max_chunks_per_document=1)
            named[f"{mode}+rerank" if reranked else str(mode)] = search
    return named


def _notes(dataset: "Dataset") -> list[str]:
    notes = []
    if dataset.blank:
        blank = counted(dataset.blank, "document")
        notes.append(f"{blank} of the corpus with neither title nor text left out")
    if dataset.missing:
        missing = counted(dataset.missing, "relevant document")
        notes.append(f"{missing} blank or not in the corpus: counted as not found")
    return notes


async def _reports(
    mesh: Client, dataset: "Dataset", collection: str, asked: Evaluation
) -> list["ModeReport"]:
    from groundmesh.eval.report import mode_report
    from groundmesh.eval.searching import Searching

    reports = []
    for mode, search in asked.searches.items():
        how = Searching(collection, search, asked.concurrency, asked.timeout_s)
        searched = await _searched(mesh, dataset, how, name=mode)
        if searched is not None:
            print_notes([f"{mode}: {each}" for each in sorted(searched.degraded)])
            report = await asyncio.to_thread(mode_report, mode, dataset, searched)
            sys.stderr.write(f"{mode}: {report.queries} queries, p50 {report.p50_ms:.0f} ms\n")
            reports.append(report)
    return reports


async def _searched(
    mesh: Client, dataset: "Dataset", how: "Searching", *, name: str
) -> "Searched | None":
    """None where the store can't do it."""
    from groundmesh.eval.searching import search_all

    with progress_bar(console(stderr=True)) as bar:
        task = bar.add_task("", total=len(dataset.queries), text=f"queries, {name} search")
        try:
            return await search_all(mesh, dataset.queries, how, on_done=partial(bar.advance, task))
        except FailedPrecondition as error:
            if error.reason is not Reason.FULL_TEXT_UNSUPPORTED:
                raise
            print_notes([f"{name} left out: {error.message}"])
            return None


def _print_reports(reports: Sequence["ModeReport"]) -> None:
    from groundmesh.eval.metrics import MEASURES

    print_table(
        ("MODE", *(f"{name.upper()} (95 %)#" for name in MEASURES), "P50 MS#", "P99 MS#"),
        [
            (
                report.mode,
                *(
                    f"{each.mean:.3f} ({each.low:.3f}-{each.high:.3f})"
                    for each in report.measures.values()
                ),
                f"{report.p50_ms:.1f}",
                f"{report.p99_ms:.1f}",
            )
            for report in reports
        ],
    )
    sys.stdout.write(f"Queries: {reports[0].queries}.\n")
