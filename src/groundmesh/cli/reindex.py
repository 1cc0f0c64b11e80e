"""``groundmesh collections reindex``."""

import asyncio
import sys
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from groundmesh.cli.collections import collection_json
from groundmesh.cli.output import (
    LINE_EVERY_S,
    console,
    counted,
    print_json,
    printable,
    progress_bar,
)
from groundmesh.cli.places import display_uri
from groundmesh.cli.problems import Exit, Problem, problem_of
from groundmesh.client import (
    Client,
    Collection,
    IndexSettings,
    Reindex,
    ReindexEvent,
    ReindexFailed,
    ReindexProgress,
)
from groundmesh.errors import DeadlineExceeded, FailedPrecondition, Reason, Unavailable

_GO_ON = "go on with `groundmesh collections reindex {name} --resume`, or give it up with --abandon"


@dataclass(frozen=True)
class Wish:
    """What is to become of a collection's index."""

    index: IndexSettings
    resume: bool
    abandon: bool

    def check(self) -> None:
        """Problem for what does not go together."""
        if self.resume and self.abandon:
            raise Problem("--resume and --abandon exclude each other", exit_code=Exit.USAGE)
        if (self.resume or self.abandon) and self.index != IndexSettings():
            raise Problem(
                "the settings of a reindex are those that it began with",
                hint="leave them out, or --abandon it first and begin another",
                exit_code=Exit.USAGE,
            )


@dataclass
class _Run:
    """What a run has told."""

    progress: ReindexProgress = field(default_factory=lambda: ReindexProgress(0, 0, 0, 0, 0.0))
    failures: list[ReindexFailed] = field(default_factory=list)


async def reindex_collection(name: str, wish: Wish, *, server: str, as_json: bool) -> Exit:
    """Begin or take up a reindex, run it and commit it; or give it up."""
    wish.check()
    async with Client(server) as mesh:
        if wish.abandon:
            under_way = await _under_way(mesh, name)
            return _abandoned(await mesh.collections.abandon_reindex(name, under_way.id), as_json)
        reindex = await (_under_way(mesh, name) if wish.resume else _begun(mesh, name, wish.index))
        run = _Run()
        try:
            await _follow(mesh.collections.run_reindex(name, reindex.id), run)
            if run.failures:
                return _not_committed(name, run, as_json=as_json)
            collection = await mesh.collections.commit_reindex(name, reindex.id)
        except (Unavailable, DeadlineExceeded) as error:
            problem = problem_of(error)
            hint = f"the old index serves on; {_GO_ON.format(name=name)}"
            raise Problem(problem.message, hint=hint, exit_code=problem.exit_code) from error
        except asyncio.CancelledError:  # Ctrl-C
            sys.stderr.write(f"stopped; the old index serves on; {_GO_ON.format(name=name)}\n")
            raise
    _tell_committed(collection, run, as_json=as_json)
    return Exit.DONE


async def _begun(mesh: Client, name: str, index: IndexSettings) -> Reindex:
    try:
        return await mesh.collections.begin_reindex(name, index=index, request_id=uuid.uuid4().hex)
    except FailedPrecondition as error:
        if error.reason is not Reason.REINDEX_UNDER_WAY:
            raise
        raise Problem(error.message, hint=_GO_ON.format(name=name)) from error


async def _under_way(mesh: Client, name: str) -> Reindex:
    reindex = (await mesh.collections.get(name)).reindex
    if reindex is None:
        raise Problem(f"no reindex of {name} is under way")
    return reindex


async def _follow(events: AsyncGenerator[ReindexEvent, None], run: _Run) -> None:
    stderr = console(stderr=True)
    next_line_s = LINE_EVERY_S
    with progress_bar(stderr) as bar:
        task = bar.add_task("", total=None, text="documents · 0 chunks")
        async with aclosing(events):
            async for event in events:
                if isinstance(event, ReindexFailed):
                    run.failures.append(event)
                    line = f"failed: {display_uri(event.uri)}: {event.error.message}"
                    stderr.print(printable(line), soft_wrap=True)
                    continue
                run.progress = event
                done, total = event.documents_done, event.documents_total
                chunks = counted(event.chunks, "chunk")
                bar.update(task, completed=done, total=total, text=f"documents · {chunks}")
                if bar.disable and event.elapsed_s >= next_line_s:
                    stderr.print(f"{done} of {total} documents, {chunks}")
                    next_line_s = event.elapsed_s + LINE_EVERY_S


def _tell_committed(collection: Collection, run: _Run, *, as_json: bool) -> None:
    if as_json:
        print_json({"collection": collection_json(collection), **_run_json(run, committed=True)})
        return
    sys.stdout.write(
        f"{collection.id} is served by index version {collection.index_version} now: "
        f"{counted(collection.document_count, 'document')}, "
        f"{counted(collection.chunk_count, 'chunk')}; {run.progress.elapsed_s:.1f} s\n"
    )


def _not_committed(name: str, run: _Run, *, as_json: bool) -> Exit:
    if as_json:
        print_json(_run_json(run, committed=False))
    failed = counted(len(run.failures), "document")
    sys.stderr.write(
        f"{failed} could not be built, so the old index serves on; {_GO_ON.format(name=name)}\n"
    )
    return Exit.FAILED


def _abandoned(collection: Collection, as_json: bool) -> Exit:
    if as_json:
        print_json({"collection": collection_json(collection)})
    else:
        sys.stdout.write(f"the reindex of {collection.id} is given up\n")
    return Exit.DONE


def _run_json(run: _Run, *, committed: bool) -> dict[str, object]:
    return {
        "committed": committed,
        "documents": run.progress.documents_done,
        "chunks": run.progress.chunks,
        "elapsed_s": round(run.progress.elapsed_s, 3),
        "failures": [
            {"uri": each.uri, "reason": each.error.reason, "message": each.error.message}
            for each in run.failures
        ],
    }
