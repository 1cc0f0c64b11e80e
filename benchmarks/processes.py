"""Some services of a mesh as processes, each started as ``groundmesh up`` starts it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from groundmesh.cli.up.keeper import ServiceSpec
from groundmesh.cli.up.mesh import MESH, MeshOptions, spec_of
from groundmesh.cli.up.probe import GrpcProbe, Health, Question
from tests.real_mesh import free_port_range

_START_LIMIT_S = 180.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Running:
    """The processes by name."""

    addresses: Mapping[str, str]
    processes: Mapping[str, psutil.Process]

    def cpu_s(self) -> dict[str, float]:
        """Seconds of processor time that each has taken, with its children."""
        return {name: _cpu_s(process) for name, process in self.processes.items()}


@asynccontextmanager
async def running_mesh(*names: str) -> AsyncIterator[Running]:
    """These members on free ports, all ready, with data of their own; gone at the end."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        options = MeshOptions(data=folder, base_port=free_port_range())
        members = [member for member in MESH if member.name in names]
        specs = {member.name: spec_of(member, options) for member in members}
        processes = {
            name: await stack.enter_async_context(_process(spec, folder / f"{name}.log"))
            for name, spec in specs.items()
        }
        for member in members:
            await _wait_ready(specs[member.name], member.ready, processes[member.name])
        yield Running({name: spec.address for name, spec in specs.items()}, processes)


@asynccontextmanager
async def _process(spec: ServiceSpec, log: Path) -> AsyncIterator[psutil.Process]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *spec.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env=spec.env,
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _wait_ready(spec: ServiceSpec, question: Question, process: psutil.Process) -> None:
    probe = GrpcProbe(spec.address, question)
    try:
        async with asyncio.timeout(_START_LIMIT_S):
            while await probe.check() is not Health.READY:
                if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                    raise RuntimeError(f"{spec.name} has ended")
                await asyncio.sleep(_POLL_S)
    finally:
        await probe.close()


def _cpu_s(process: psutil.Process) -> float:
    # Children that have ended are in the parent's own figures, those that run are not.
    times = [process.cpu_times()]
    for child in process.children(recursive=True):
        try:
            times.append(child.cpu_times())
        except psutil.NoSuchProcess:
            continue
    return sum(
        each.user + each.system + each.children_user + each.children_system for each in times
    )
