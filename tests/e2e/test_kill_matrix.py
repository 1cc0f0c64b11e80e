"""Each process of an ingest is killed in each of its phases; in the end every store is exact.

500 documents that are all in are ingested in another edition. In the middle one process is killed
and started again. The ingest that was under way must end well by itself, a second one must find
nothing to do, and after a sweep the catalog, Milvus and the kept texts must hold exactly what a
run that nobody disturbed has left: no chunk missing, none twice, nothing that is referred to by
nobody. The next cell goes on over the same stores, with the other edition.

A phase is found from outside: by the load that services tell and by the catalog's rows. To be
caught in its commit, a write is held there by taking the catalog's write lock.
"""

import logging
import random
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.kill_mesh import Chunk, KillMesh, finished, kill_mesh
from tests.milvus_servers import MilvusProcess, milvus_lite, real_milvus

log = logging.getLogger(__name__)

DOCUMENTS = 500
PHASE_WITHIN_S = 300.0
HELD_S = 0.2
PROCESSES = ("gateway", "embedder", "retriever", "milvus")
COLLECTION = "docs"


def edition(folder: Path, name: str) -> None:
    """Write every file anew: of three chunks each."""
    folder.mkdir(exist_ok=True)
    for number in range(DOCUMENTS):
        paragraphs = [
            f"Note {number}, part {part} of the {name} edition. The bridge of Quellbach has "
            f"{number + part} arches, and every {part + 2} years its mason counts them again."
            for part in range(3)
        ]
        (folder / f"{number:03}.md").write_text("\n\n".join(paragraphs))


@dataclass
class World:
    """A mesh, the files, and what each edition of them leaves in the stores."""

    mesh: KillMesh
    files: Path
    expected: dict[str, dict[str, list[Chunk]]] = field(default_factory=dict)
    current: str = ""
    began: int = 0
    """The catalog's time when the present ingest began."""

    def turn(self) -> None:
        """Have the files in the other edition."""
        self.current = "second" if self.current == "first" else "first"
        edition(self.files, self.current)
        self.began = time.time_ns() // 1000

    def look(self, question: str) -> int:
        """A number from the catalog."""
        with self.mesh.catalog() as catalog:
            (number,) = catalog.execute(question).fetchone()
        return int(number)

    def replaced(self) -> int:
        return self.look(f"SELECT count(*) FROM documents WHERE update_time > {self.began}")


Held = AbstractContextManager[object]
Phase = Callable[[World], Held | None]
"""None while the phase is not on; else what keeps it so."""


def _parsing(world: World) -> Held | None:
    load = world.mesh.members["gateway"].load()
    return nullcontext() if load.get("parse_workers_busy") else None


def _embedding(world: World) -> Held | None:
    load = world.mesh.members["embedder"].load()
    return nullcontext() if load.get("running_tokens") else None


UPSERTING = "SELECT count(*) FROM chunk_sets WHERE state = 'PENDING' AND chunk_count > 0"
SWEEPING = "SELECT count(*) FROM chunk_sets WHERE state = 'RETIRED'"


def _upserting(world: World) -> Held | None:
    return nullcontext() if world.look(UPSERTING) else None


def _sweeping(world: World) -> Held | None:
    return nullcontext() if world.look(SWEEPING) else None


def _committing(world: World) -> Held | None:
    with ExitStack() as stack:
        catalog = stack.enter_context(_locked(world.mesh))
        if not catalog.execute(UPSERTING).fetchone()[0]:
            return None
        time.sleep(HELD_S)  # for Milvus to take the chunks; their commit waits for the lock
        return stack.pop_all()


@contextmanager
def _locked(mesh: KillMesh) -> Iterator[sqlite3.Connection]:
    with mesh.catalog() as catalog:
        catalog.execute("BEGIN IMMEDIATE")
        try:
            yield catalog
        finally:
            catalog.execute("ROLLBACK")


PHASES: dict[str, Phase] = {
    "parse": _parsing,
    "embed": _embedding,
    "upsert": _upserting,
    "commit": _committing,
    "sweep": _sweeping,
}
FAST_CELL = ("retriever", "commit")


def cells(*, fast: bool) -> list[object]:
    every = [(process, phase) for process in PROCESSES for phase in PHASES]
    return [
        pytest.param(*cell, marks=[] if fast and cell == FAST_CELL else pytest.mark.slow)
        for cell in every
    ]


@contextmanager
def world_over(milvus: MilvusProcess, folder: Path) -> Iterator[World]:
    """All documents in, after a run of each edition that nobody disturbed."""
    with kill_mesh(milvus, folder) as mesh:
        mesh.create(COLLECTION)
        world = World(mesh, folder / "files")
        for outcome in ("indexed", "replaced"):
            world.turn()
            assert mesh.ingested(world.files, COLLECTION)[outcome] == DOCUMENTS
            mesh.sweep()
            chunks = mesh.contents(COLLECTION).chunks
            assert len(chunks) == DOCUMENTS
            assert all(len(of) > 1 for of in chunks.values())
            assert all(world.current in of[0][3] for of in chunks.values())
            world.expected[world.current] = chunks
            assert_exact(world)
        yield world


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("lite")
    with milvus_lite(folder) as milvus, world_over(milvus, folder) as world:
        yield world


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("real")
    with real_milvus(folder) as milvus, world_over(milvus, folder) as world:
        yield world


@pytest.mark.parametrize(("process", "phase"), cells(fast=True))
def test_on_milvus_lite(lite: World, process: str, phase: str) -> None:
    check_cell(lite, process, phase)


@pytest.mark.parametrize(("process", "phase"), cells(fast=False))
def test_on_a_real_milvus(real: World, process: str, phase: str) -> None:
    check_cell(real, process, phase)


def check_cell(world: World, process: str, phase: str) -> None:
    mesh = world.mesh
    world.turn()
    # Somewhere in the middle, in another place in each cell, and in the same in each run.
    done_before = 0 if phase == "parse" else random.Random(process + phase).randrange(10, 350)
    ingest = mesh.ingest(world.files, COLLECTION)
    try:
        with reached(world, PHASES[phase], ingest, done_before=done_before):
            at = (world.replaced(), world.look(UPSERTING), world.look(SWEEPING))
            mesh.kill(process)
        log.info("%s killed in %s: %d replaced, %d written, %d retired", process, phase, *at)
        mesh.restart(process)
        first = finished(ingest)
    finally:
        ingest.kill()
    assert at[0] < DOCUMENTS, "the kill came after the end"
    assert first["files"] == DOCUMENTS
    assert (first["failed"], first["indexed"]) == (0, 0)
    mesh.wait_ready()
    again = mesh.ingested(world.files, COLLECTION)
    assert (again["unchanged"], again["chunks"]) == (DOCUMENTS, 0)
    assert_exact(world)


@contextmanager
def reached(
    world: World, phase: Phase, ingest: subprocess.Popen[str], *, done_before: int
) -> Iterator[None]:
    """The phase, some time after so many documents have been replaced."""
    end = time.monotonic() + PHASE_WITHIN_S
    while world.replaced() < done_before or (held := phase(world)) is None:
        assert ingest.poll() is None, f"not reached: {ingest.communicate()}"
        assert time.monotonic() < end, f"not reached: {world.replaced()} replaced"
        time.sleep(0.002)
    with held:
        yield


def assert_exact(world: World) -> None:
    world.mesh.sweep()
    there = world.mesh.contents(COLLECTION)
    assert_same(there.keys, there.live_keys)
    assert there.chunks == world.expected[world.current]
    assert there.leftovers == []
    assert_same(there.texts, there.wanted_texts)


def assert_same(there: list[str], wanted: list[str]) -> None:
    """Said in two short lists, where pytest would print thousands of keys."""
    missing, unwanted = sorted({*wanted} - {*there}), sorted({*there} - {*wanted})
    assert (missing, unwanted) == ([], [])
    assert len(there) == len(wanted)
