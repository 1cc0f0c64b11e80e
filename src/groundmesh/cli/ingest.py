"""``groundmesh ingest``."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from groundmesh.cli.output import (
    LINE_EVERY_S,
    console,
    counted,
    print_json,
    print_table,
    printable,
    progress_bar,
    size_text,
)
from groundmesh.cli.places import display_uri
from groundmesh.cli.problems import Exit, Problem, problem_of
from groundmesh.cli.pruning import prune
from groundmesh.cli.resuming import resumed
from groundmesh.cli.tally import Tally, failure_line, rows, tally_json
from groundmesh.cli.walking import Found, find_files
from groundmesh.client import Client, DocumentIngested, IngestEvent, IngestProgress, Outcome, Upload
from groundmesh.errors import AlreadyExists, DeadlineExceeded, MeshError, NotFound, Unavailable

AGAIN_HINT = "run the same command again: what is in already is passed over"


@dataclass(frozen=True)
class Order:
    """What to put where, and how."""

    paths: list[Path]
    collection: str
    labels: tuple[str, ...] = ()
    """Who may read it; empty: everybody of the tenant."""
    prune: bool = False
    """Delete documents whose files are gone, too."""
    listed: bool = False
    """Say of each file what became of it."""


async def ingest(order: Order, *, server: str, as_json: bool) -> Exit:
    """Ingest files and folders; FAILED when any of the files did."""
    found = find_files(order.paths)
    if not found.files:
        raise Problem(f"no files to ingest in {', '.join(str(path) for path in order.paths)}")
    async with Client(server) as mesh:
        await ensure_collection(mesh, order.collection)
        _tell_passed_over(found)
        tally = Tally(documents=[] if order.listed else None)
        try:
            await follow(_events(mesh, order, found), tally, total=len(found.files))
        except (Unavailable, DeadlineExceeded) as error:
            raise _cut_short(error, tally, found) from error
        except asyncio.CancelledError:  # Ctrl-C
            done = f"stopped after {tally.done} of {len(found.files)} files"
            sys.stderr.write(f"{done}; to go on, {AGAIN_HINT}\n")
            raise
        if order.prune:
            await _prune(mesh, order, found, tally)
    if as_json:
        print_json(tally_json(tally, order.collection))
    else:
        if tally.documents is not None:
            print_table(("outcome", "chunks #", "document", "reason"), rows(tally.documents))
        sys.stdout.write(tally.summary(order.collection, pruned=order.prune) + "\n")
    return Exit.FAILED if tally.failures or found.unread else Exit.DONE


def _events(mesh: Client, order: Order, found: Found) -> AsyncGenerator[IngestEvent, None]:
    uploads = [replace(Upload.of_file(file), reader_labels=order.labels) for file in found.files]
    return resumed(mesh, uploads, collection=order.collection, tell=_tell_broken_off)


def _tell_broken_off(error: MeshError, left: int, pause_s: float) -> None:
    again = f"sending again in {pause_s:g} s: {counted(left, 'file')} left"
    sys.stderr.write(f"{printable(error.message)}; {again}\n")


async def _prune(mesh: Client, order: Order, found: Found, tally: Tally) -> None:
    if found.unread:
        raise Problem(
            "nothing was pruned: what is in a folder that can't be looked into may be there still",
            hint="make the folders readable, or name only those that are",
        )
    async for uri in prune(mesh, found.folders, collection=order.collection):
        tally.pruned.append(uri)
        sys.stderr.write(f"gone: {display_uri(uri)}\n")


async def ensure_collection(mesh: Client, collection: str) -> None:
    """Create the collection with the mesh's own settings if it is not there, and say so."""
    try:
        await mesh.collections.get(collection)
    except NotFound:
        try:
            created = await mesh.collections.create(collection)
        except AlreadyExists:
            return  # somebody else made it just now
        model = created.embedding.model
        sys.stderr.write(f"created the collection {created.id} (embedding model {model})\n")


async def follow(
    events: AsyncGenerator[IngestEvent, None], tally: Tally, *, total: int, noun: str = "file"
) -> None:
    """Count what comes out of an ingestion, and show how far it is."""
    stderr = console(stderr=True)
    next_line_s = LINE_EVERY_S
    with progress_bar(stderr) as bar:
        speed = _speed(None)
        task = bar.add_task("", total=total, text=f"{noun}s · {speed}")
        async with aclosing(events):
            async for event in events:
                match event:
                    case IngestProgress():  # knows of chunks of files that are not done yet
                        speed = _speed(event)
                        bar.update(task, text=f"{noun}s · {speed}")
                    case DocumentIngested():
                        tally.take(event)
                        bar.update(task, completed=tally.done)
                        if event.outcome is Outcome.FAILED and tally.documents is None:
                            stderr.print(failure_line(event), soft_wrap=True)
                if bar.disable and tally.elapsed_s >= next_line_s:
                    stderr.print(f"{tally.done} of {total} {noun}s, {speed}")
                    next_line_s = tally.elapsed_s + LINE_EVERY_S


def _speed(progress: IngestProgress | None) -> str:
    if progress is None:
        return "0 chunks"
    rates = [f"{progress.chunks_per_s:.1f} chunks/s"]
    if progress.bytes_per_s:  # none any more once all is sent and only waits to be embedded
        rates.append(f"{size_text(round(progress.bytes_per_s))}/s")
    return f"{counted(progress.chunks, 'chunk')} · {', '.join(rates)}"


def _tell_passed_over(found: Found) -> None:
    if found.passed_over:
        count = found.passed_over.total()
        ends = ", ".join(f"{end} {number}" for end, number in found.passed_over.most_common(5))
        holds = "holds" if count == 1 else "hold"
        sys.stderr.write(f"passed over {counted(count, 'file')} that {holds} no text ({ends})\n")
    for error in found.unread:
        where = printable(str(error.filename))
        sys.stderr.write(f"can't look into {where}: {error.strerror}\n")


def _cut_short(error: MeshError, tally: Tally, found: Found) -> Problem:
    problem = problem_of(error)
    return Problem(
        f"{problem.message}; {tally.done} of {len(found.files)} files were done",
        hint=f"{problem.hint}; then {AGAIN_HINT}" if problem.hint else AGAIN_HINT,
        exit_code=problem.exit_code,
    )
