"""`groundmesh up` when its parts, or it itself, are killed: others go on, nothing is left."""

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from groundmesh.client import Client, Sampling
from groundmesh.errors import MeshError, Unavailable
from tests.real_mesh import RealMesh, free_port_range, real_mesh
from tests.waiting import until

pytestmark = pytest.mark.e2e

ORPHANS_GONE_S = 5.0
CLIENTS = 10
ANSWER_S = 60.0
FEW_TOKENS = Sampling(max_tokens=4)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealMesh]:
    """A mesh of this module's own."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "a.txt").write_text("The bridge of Quellbach was built in 1877.\n")
    with real_mesh(folder) as running:
        done = running.cli("ingest", str(folder / "a.txt"), "--collection", "docs")
        assert done.returncode == 0, done.stderr
        yield running


def find_process(mesh: RealMesh, name: str) -> psutil.Process | None:
    module = "milvus_lite" if name == "milvus" else f"groundmesh_{name}"
    for child in psutil.Process(mesh.up.pid).children():
        with suppress(psutil.NoSuchProcess):
            if module in child.cmdline():
                return child
    return None


def service_process(mesh: RealMesh, name: str) -> psutil.Process:
    """The process that runs a service now, or soon."""
    end = time.monotonic() + 60
    while (found := find_process(mesh, name)) is None:
        assert time.monotonic() < end, f"no process of {name}: {mesh.output()}"
        time.sleep(0.1)
    return found


def engine_processes(mesh: RealMesh) -> list[psutil.Process]:
    """vLLM's processes, which outlive a generator that does not take care."""
    generator = find_process(mesh, "generator")
    with suppress(psutil.NoSuchProcess):
        return generator.children() if generator is not None else []
    return []


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if lives(process)]


def kill_tree(process: psutil.Process) -> None:
    """Kill -9 one process, and see that all below it are gone soon."""
    family = [process, *process.children(recursive=True)]
    process.send_signal(signal.SIGKILL)
    assert_gone(family)


def assert_gone(processes: list[psutil.Process]) -> None:
    end = time.monotonic() + ORPHANS_GONE_S
    while left := living(processes):
        assert time.monotonic() < end, f"left behind: {left}"
        time.sleep(0.1)


@dataclass
class Askers:
    """Ten clients that ask, and search, all the time."""

    mesh: RealMesh
    answered: int = 0
    searched: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    wrong: list[BaseException] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._one(searches=number % 5 == 0))

    async def _one(self, *, searches: bool) -> None:
        async with Client(self.mesh.address()) as client:
            while not self.stop.is_set():
                began = time.monotonic()
                try:
                    if searches:
                        await client.search("bridge", collection="docs", timeout_s=ANSWER_S)
                        self.searched += 1
                    else:
                        await client.answer(
                            "When was the bridge built?",
                            collection="docs",
                            sampling=FEW_TOKENS,
                            timeout_s=ANSWER_S,
                        )
                        self.answered += 1
                except Unavailable as error:
                    self.failures[error.message] += 1
                    await asyncio.sleep(0.5)
                except MeshError as error:
                    self.wrong.append(error)
                    await asyncio.sleep(0.5)
                assert time.monotonic() - began < ANSWER_S + 5


async def more_answers(askers: Askers, count: int) -> None:
    wanted = askers.answered + count
    await until(lambda: askers.answered >= wanted, within_s=120)


@asynccontextmanager
async def asking(mesh: RealMesh) -> AsyncIterator[Askers]:
    """Ten clients at work for a block, before and after which they get answers."""
    await asyncio.to_thread(mesh.wait_ready)
    askers = Askers(mesh)
    running = asyncio.create_task(askers.run())
    try:
        await more_answers(askers, 10)
        yield askers
        await asyncio.to_thread(mesh.wait_ready)
        await more_answers(askers, 10)
    finally:
        askers.stop.set()
        await running
    assert not askers.wrong
    for message in askers.failures:
        assert "Traceback" not in message
        assert len(message) < 300


@pytest.mark.parametrize("name", ["gateway", "retriever", "milvus", "embedder"])
async def test_a_killed_service_fails_plainly_and_comes_back(mesh: RealMesh, name: str) -> None:
    async with asking(mesh) as askers:
        await asyncio.to_thread(kill_tree, service_process(mesh, name))
    if name in ("gateway", "embedder"):  # the others may be back before the retries are over
        assert askers.failures
    if name == "embedder":
        assert any("embedder" in message for message in askers.failures)
    assert f"{name}: died (killed by SIGKILL)" in mesh.output()


async def test_five_kills_of_the_generator_leave_no_orphan(mesh: RealMesh) -> None:
    async with asking(mesh) as askers:
        searched = askers.searched
        for _ in range(5):
            await until(lambda: engine_processes(mesh), within_s=120)
            await asyncio.to_thread(kill_tree, service_process(mesh, "generator"))
        assert askers.searched > searched  # what does not need it went on
    assert any("generator" in message for message in askers.failures)


def test_the_trainer_comes_back(mesh: RealMesh) -> None:
    kill_tree(service_process(mesh, "trainer"))
    assert service_process(mesh, "trainer").is_running()


def test_ctrl_c_leaves_nobody(mesh: RealMesh) -> None:
    """The last of this mesh."""
    mesh.wait_ready()
    family = psutil.Process(mesh.up.pid).children(recursive=True)
    assert len(family) >= 6
    mesh.up.send_signal(signal.SIGINT)
    assert mesh.up.wait(60) == 0
    assert_gone(family)
    assert mesh.output().rstrip().endswith("all services have stopped")
    assert "was killed" not in mesh.output()


def start_up(folder: Path) -> RealMesh:
    """A mesh that only begins to start."""
    port = free_port_range()
    command = [sys.executable, "-m", "groundmesh.cli", "up", "--data", str(folder / "data")]
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log)
    return RealMesh(up, base_port=port, data=folder / "data")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_an_end_while_all_is_starting_leaves_nobody(
    tmp_path: Path, how: signal.Signals
) -> None:
    mesh = start_up(tmp_path)
    up = mesh.up
    try:
        await until(lambda: engine_processes(mesh), within_s=120)
        family = psutil.Process(up.pid).children(recursive=True)
        up.send_signal(how)
        code = await asyncio.to_thread(up.wait, 60)
        assert_gone(family)
    finally:
        up.kill()
        up.wait()
    assert code == (-signal.SIGKILL if how is signal.SIGKILL else 0)


def test_a_kill_of_a_ready_up_leaves_nobody(tmp_path: Path) -> None:
    mesh = start_up(tmp_path)
    note = tmp_path / "a.txt"
    note.write_text("The bridge of Quellbach was built in 1877.\n")
    try:
        mesh.wait_ready()
        assert mesh.cli("ingest", str(note), "--collection", "docs").returncode == 0
        assert mesh.cli("ask", "When?", "--collection", "docs", "--max-tokens", "4").returncode == 0
        family = psutil.Process(mesh.up.pid).children(recursive=True)
        assert len(family) >= 9  # six services, vLLM's two, a parse worker
        mesh.up.kill()
        mesh.up.wait(10)
        assert_gone(family)
        named = [each for each in psutil.process_iter() if str(mesh.data) in command_of(each)]
        assert not named
    finally:
        mesh.up.kill()
        mesh.up.wait()


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
