"""The trainer as a process, with the real Ray."""

import asyncio
import signal
from pathlib import Path

import psutil
import pytest

from groundmesh.channel import open_channel
from groundmesh.v1.mesh_pb2 import GetServerInfoRequest
from groundmesh.v1.mesh_pb2_grpc import MeshServiceStub
from tests.service_process import service_process
from tests.waiting import until

pytestmark = pytest.mark.e2e

MODULE = "groundmesh_trainer"
START_LIMIT_S = 180
RAYS_PARTS = ("gcs_server", "raylet", "ray::DashboardAgent")


def parts(family: list[psutil.Process]) -> set[str]:
    """Which of Ray's processes there are."""
    found = set()
    for process in family:
        try:
            command = " ".join(process.cmdline()[:1])
        except psutil.Error:
            continue
        found |= {part for part in RAYS_PARTS if command.endswith(part)}
    return found


def scratch_of(process: psutil.Process) -> str | None:
    """The guard's folder, which all below it have in their environment."""
    try:
        return next((v for v in process.environ().values() if "/gm-" in v), None)
    except psutil.Error:
        return None


async def test_serves_once_ray_has_run_a_task_and_leaves_nothing(tmp_path: Path) -> None:
    async with service_process(MODULE, folder=tmp_path) as service:
        trainer = psutil.Process(service.process.pid)
        address = await service.ready(within_s=START_LIMIT_S)
        assert trainer.children(recursive=True) == []
        async with open_channel(address) as channel:
            mesh = MeshServiceStub(channel)
            info = (await mesh.GetServerInfo(GetServerInfoRequest(), timeout=10)).server
            assert (info.service, info.engine, info.ready) == ("trainer", "ray", True)
            assert info.engine_version
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(service.process.wait(), 30) == 0
    assert "not built yet" in service.log.read_text()


@pytest.mark.parametrize("part", RAYS_PARTS)
async def test_killed_while_ray_starts_it_leaves_no_orphan(tmp_path: Path, part: str) -> None:
    async with service_process(MODULE, folder=tmp_path) as service:
        trainer = psutil.Process(service.process.pid)
        family: list[psutil.Process] = []

        def has_started() -> bool:
            family[:] = trainer.children(recursive=True)
            return part in parts(family)

        await until(has_started, within_s=START_LIMIT_S)
        scratch = next(filter(None, map(scratch_of, family)))
        service.process.kill()
        await until(lambda: not any(each.is_running() for each in family), within_s=5)
        assert not [each for each in psutil.process_iter() if scratch_of(each) == scratch]
        await until(lambda: not Path(scratch).exists(), within_s=5)
