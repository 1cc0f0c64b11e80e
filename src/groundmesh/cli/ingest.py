"""``groundmesh ingest``."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from groundmesh.cli.output import console, counted, print_json, print_table, printable
from groundmesh.cli.places import display_uri
from groundmesh.cli.problems import Exit, Problem, problem_of
from groundmesh.cli.pruning import prune
from groundmesh.cli.resuming import resumed
from groundmesh.cli.walking import Found, find_files
from groundmesh.client import Client, DocumentIngested, IngestEvent, IngestProgress, Outcome, Upload
from groundmesh.errors import AlreadyExists, DeadlineExceeded, MeshError, NotFound, Unavailable

LINE_EVERY_S = 5.0
"""How often a line says how far it is where there is no terminal to draw a bar on."""

OUTCOME_WORDS = (
    (Outcome.INDEXED, "new"),
    (Outcome.REPLACED, "replaced"),
    (Outcome.UNCHANGED, "unchanged"),
    (Outcome.FAILED, "failed"),
)

AGAIN_HINT = "run the same command again: what is in already is passed over"


@dataclass
class Tally:
    """What has become of the files so far."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failures: list[DocumentIngested] = field(default_factory=list)
    documents: list[DocumentIngested] | None = None
    """All of them, where a list is wanted."""
    pruned: list[str] = field(default_factory=list)
    """URIs of documents that were deleted, because their files are gone."""
    chunks: int = 0
    """That were written, not those of unchanged files."""
    began: float = field(default_factory=time.monotonic)

    def take(self, event: DocumentIngested) -> None:
        """Count one file."""
        self.outcomes[event.outcome] += 1
        if self.documents is not None:
            self.documents.append(event)
        if event.outcome in (Outcome.INDEXED, Outcome.REPLACED):
            self.chunks += event.chunk_count
        if event.outcome is Outcome.FAILED:
            self.failures.append(event)

    @property
    def done(self) -> int:
        """Files that are through, failed ones included."""
        return self.outcomes.total()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def summary(self, collection: str, *, noun: str = "file", pruned: bool = False) -> str:
        """All of it in one line."""
        parts = [f"{self.outcomes[outcome]} {word}" for outcome, word in OUTCOME_WORDS]
        reasons = Counter(event.error.reason for event in self.failures if event.error)
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        if pruned:
            parts.append(f"{len(self.pruned)} gone and deleted")
        return (
            f"{counted(self.done, noun)} in {self.elapsed_s:.1f} s: {', '.join(parts)}"
            f"{f' ({why})' if why else ''}; "
            f"{counted(self.chunks, 'chunk')} written to {collection}"
        )


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
        print_json(_tally_json(tally, order))
    else:
        if tally.documents is not None:
            print_table(("outcome", "chunks #", "document", "reason"), _rows(tally.documents))
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
    with _bar(stderr) as bar:
        speed = _speed(None)
        task = bar.add_task("", total=total, speed=speed, noun=noun)
        async with aclosing(events):
            async for event in events:
                match event:
                    case IngestProgress():  # knows of chunks of files that are not done yet
                        speed = _speed(event)
                        bar.update(task, speed=speed)
                    case DocumentIngested():
                        tally.take(event)
                        bar.update(task, completed=tally.done)
                        if event.outcome is Outcome.FAILED and tally.documents is None:
                            stderr.print(_failure_line(event), soft_wrap=True)
                if bar.disable and tally.elapsed_s >= next_line_s:
                    stderr.print(f"{tally.done} of {total} {noun}s, {speed}")
                    next_line_s = tally.elapsed_s + LINE_EVERY_S


def _speed(progress: IngestProgress | None) -> str:
    if progress is None:
        return "0 chunks"
    rate = f"{progress.chunks_per_s:.1f} chunks/s, {decimal(round(progress.bytes_per_s))}/s"
    return f"{counted(progress.chunks, 'chunk')} · {rate}"


def _bar(stderr: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[noun]}s · {task.fields[speed]} ·"),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


def _tell_passed_over(found: Found) -> None:
    if found.passed_over:
        count = found.passed_over.total()
        ends = ", ".join(f"{end} {number}" for end, number in found.passed_over.most_common(5))
        holds = "holds" if count == 1 else "hold"
        sys.stderr.write(f"passed over {counted(count, 'file')} that {holds} no text ({ends})\n")
    for error in found.unread:
        where = printable(str(error.filename))
        sys.stderr.write(f"can't look into {where}: {error.strerror}\n")


def _failure_line(event: DocumentIngested) -> str:
    return printable(f"failed: {display_uri(event.uri)}: {_why(event)}")


def _why(event: DocumentIngested) -> str:
    if event.error is None:
        return "no reason was given"
    return f"{event.error.message} ({event.error.reason})"


def _rows(documents: Sequence[DocumentIngested]) -> list[tuple[str, str, str, str]]:
    """By path: they come in the order in which they were done."""
    words = dict(OUTCOME_WORDS)
    rows = [
        (
            words[each.outcome],
            "" if each.outcome is Outcome.FAILED else str(each.chunk_count),
            display_uri(each.uri),
            _why(each) if each.outcome is Outcome.FAILED else "",
        )
        for each in documents
    ]
    return sorted(rows, key=lambda row: row[2])


def _cut_short(error: MeshError, tally: Tally, found: Found) -> Problem:
    problem = problem_of(error)
    return Problem(
        f"{problem.message}; {tally.done} of {len(found.files)} files were done",
        hint=f"{problem.hint}; then {AGAIN_HINT}" if problem.hint else AGAIN_HINT,
        exit_code=problem.exit_code,
    )


def _tally_json(tally: Tally, order: Order) -> dict[str, object]:
    documents = tally.documents
    rows = None if documents is None else [_document_json(each) for each in documents]
    return {
        "collection": order.collection,
        "files": tally.done,
        **{outcome.lower(): tally.outcomes[outcome] for outcome, _ in OUTCOME_WORDS},
        "chunks": tally.chunks,
        "elapsed_s": round(tally.elapsed_s, 3),
        "pruned": tally.pruned,
        "failures": [{"uri": each.uri, **_error_json(each)} for each in tally.failures],
        **({} if rows is None else {"documents": rows}),
    }


def _document_json(event: DocumentIngested) -> dict[str, object]:
    shown = {"uri": event.uri, "outcome": event.outcome.lower(), "chunks": event.chunk_count}
    return {**shown, **_error_json(event)} if event.outcome is Outcome.FAILED else shown


def _error_json(event: DocumentIngested) -> dict[str, str]:
    return {
        "reason": event.error.reason if event.error else "",
        "message": event.error.message if event.error else "",
    }
