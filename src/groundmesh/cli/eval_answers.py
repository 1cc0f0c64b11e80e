"""``groundmesh eval answers``."""

import asyncio
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from groundmesh.cli.collections import calibration_text
from groundmesh.cli.corpus import check_installed, default_collection, ingest_corpus
from groundmesh.cli.output import (
    console,
    counted,
    milliseconds_text,
    print_json,
    print_notes,
    print_table,
    progress_bar,
)
from groundmesh.cli.problems import Exit, Problem
from groundmesh.client import Client, Collection

if TYPE_CHECKING:
    from groundmesh.eval.answer_report import AnswerReport
    from groundmesh.eval.answering import Asking, Record
    from groundmesh.eval.evidence import Probe
    from groundmesh.eval.questions import QuestionSet
    from groundmesh.eval.sample import Put

PROBES = 300
"""Questions that a calibration searches for, each twice, unless told otherwise."""


@dataclass(frozen=True)
class Evaluation:
    """What is asked for."""

    dataset: Path
    collection: str | None
    model: str
    template: str
    max_tokens: int | None
    limit: int | None
    seed: int
    concurrency: int
    timeout_s: float
    report: Path | None


@dataclass(frozen=True)
class Calibrating:
    """How a bound is chosen."""

    max_refusals: float
    """The largest share of belonging questions that it may refuse."""


async def evaluate_answers(asked: Evaluation, *, server: str, as_json: bool) -> Exit:
    """Ingest the paragraphs, put the questions, measure the answers."""
    check_installed()
    from groundmesh.eval import questions, report_folder
    from groundmesh.eval.answer_report import AnswerReport
    from groundmesh.eval.answering import Asking
    from groundmesh.eval.sample import sample

    if asked.report is not None:
        report_folder.check_folder(asked.report)
    dataset = await asyncio.to_thread(questions.load, asked.dataset)
    puts = sample(dataset, limit=asked.limit, seed=asked.seed)
    async with Client(server) as mesh:
        collection, failures = await _ready(mesh, dataset, asked)
        how = Asking(
            collection,
            asked.model,
            asked.template,
            asked.max_tokens,
            asked.concurrency,
            asked.timeout_s,
        )
        records = await _answered(mesh, puts, how)
        _check_some(records)
        settings = _settings(asked, await mesh.collections.get(collection), records)
    report = await asyncio.to_thread(AnswerReport.of, dataset.name, settings, records)
    if as_json:
        print_json(report.as_json())
    else:
        _print_report(report)
    if asked.report is not None:
        await asyncio.to_thread(report_folder.write, asked.report, report)
        sys.stderr.write(f"report written to {asked.report}\n")
    return Exit.FAILED if failures or report.errors else Exit.DONE


async def calibrate(asked: Evaluation, how: Calibrating, *, server: str, as_json: bool) -> Exit:
    """Ingest the paragraphs, search for questions that belong to them and don't, set the bound."""
    check_installed()
    from groundmesh.eval import questions
    from groundmesh.eval.evidence import calibration, probes

    dataset = await asyncio.to_thread(questions.load, asked.dataset)
    wanted = probes(dataset, limit=asked.limit or PROBES, seed=asked.seed)
    async with Client(server) as mesh:
        collection, failures = await _ready(mesh, dataset, asked)
        evidence = await _probed(mesh, wanted, asked, collection)
        ours = [near for probe, near in zip(wanted, evidence, strict=True) if probe.belongs]
        others = [near for probe, near in zip(wanted, evidence, strict=True) if not probe.belongs]
        found = calibration(ours, others, max_refusals=how.max_refusals)
        await mesh.collections.calibrate(collection, found)
    if as_json:
        shown = {name: value for name, value in vars(found).items() if name != "updated"}
        print_json({"dataset": dataset.name, "collection": collection, "calibration": shown})
    else:
        bound = f"{collection} answers from cosine {found.min_evidence:.4f} on"
        sys.stdout.write(f"{bound}: {calibration_text(found)}\n")
    return Exit.FAILED if failures else Exit.DONE


async def _ready(mesh: Client, dataset: "QuestionSet", asked: Evaluation) -> tuple[str, int]:
    """The collection with the data set's paragraphs in it, and how many of them failed."""
    collection = asked.collection or default_collection(dataset.name)
    if not dataset.paragraphs:
        if asked.collection is None:
            raise Problem(
                f"{asked.dataset} has no paragraphs to ask about",
                hint="name the collection that its questions are about with --collection",
            )
        await mesh.collections.get(collection)
        return collection, 0
    tally = await ingest_corpus(
        mesh, dataset.uploads(), collection=collection, total=len(dataset.paragraphs)
    )
    return collection, len(tally.failures)


async def _answered(mesh: Client, puts: "list[Put]", how: "Asking") -> "list[Record]":
    from groundmesh.eval.answering import ask_all

    with progress_bar(console(stderr=True)) as bar:
        task = bar.add_task("", total=len(puts), text="questions answered")
        return await ask_all(mesh, puts, how, on_done=partial(bar.advance, task))


async def _probed(
    mesh: Client, wanted: "list[Probe]", asked: Evaluation, collection: str
) -> list[float]:
    from groundmesh.eval.evidence import Probing, probe_all

    how = Probing(collection, asked.concurrency, asked.timeout_s)
    with progress_bar(console(stderr=True)) as bar:
        task = bar.add_task("", total=len(wanted), text="searches")
        return await probe_all(mesh, wanted, how, on_done=partial(bar.advance, task))


def _check_some(records: "list[Record]") -> None:
    failed = [record for record in records if record.answer is None]
    if len(failed) == len(records):
        raise Problem(f"every question failed; the first: {failed[0].error}")
    if failed:
        print_notes([f"{counted(len(failed), 'question')} failed; the first: {failed[0].error}"])


def _settings(
    asked: Evaluation, collection: Collection, records: "list[Record]"
) -> dict[str, object]:
    """How the questions were put, with what the mesh chose itself."""
    calibrated = collection.calibration
    finals = [record.answer.final for record in records if record.answer is not None]
    return {
        "collection": collection.id,
        "embedding_model": collection.embedding.model,
        "min_evidence": calibrated and round(calibrated.min_evidence, 4),
        "model": " ".join(sorted({final.model for final in finals if final.model})),
        "template": " ".join(sorted({final.template for final in finals if final.template})),
        "search": " ".join(sorted({final.mode.lower() for final in finals})),
        "max_tokens": asked.max_tokens,
        "limit": asked.limit,
        "seed": asked.seed,
        "concurrency": asked.concurrency,
    }


def _print_report(report: "AnswerReport") -> None:
    from groundmesh.eval.answer_scores import MEANINGS

    print_table(
        ("MEASURE", "VALUE#", "95 %#", "WHAT IT IS"),
        [
            (name, f"{each.mean:.3f}", f"{each.low:.3f}-{each.high:.3f}", MEANINGS[name])
            for name, each in report.measures.items()
        ],
    )
    times = ", ".join(
        f"{name.replace('_', ' ')} {key} {milliseconds_text(took)}"
        for name, found in report.times_ms().items()
        for key, took in found.items()
    )
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.kinds().items())
    sys.stdout.write(f"Questions: {kinds}; {report.errors} failed. Times: {times}.\n")
