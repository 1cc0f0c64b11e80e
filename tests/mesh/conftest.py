"""What every mesh test is held to, and what many of them begin with."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from groundmesh.testing import running
from tests.fakes.gateway import Memory, gateway_service
from tests.mesh.cli import Cli
from tests.mesh.retriever_mesh import RetrieverClient, retriever_mesh
from tests.milvus_servers import MilvusProcess, milvus_lite


@pytest.fixture(autouse=True)
async def no_leaked_tasks() -> AsyncIterator[None]:
    """A test may leave no asyncio task behind, be it ours or grpc's."""
    before = asyncio.all_tasks()
    yield
    known = before | {asyncio.current_task()}
    left: set[asyncio.Task[object]] = set()
    for _ in range(100):
        left = {task for task in asyncio.all_tasks() - known if not task.done()}
        if not left:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"tasks left behind: {left}")


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusProcess]:
    """A Milvus Lite of the module's own."""
    with milvus_lite(tmp_path_factory.mktemp("lite")) as process:
        asyncio.run(process.up())
        yield process


@pytest.fixture
async def client(lite: MilvusProcess, tmp_path: Path) -> AsyncIterator[RetrieverClient]:
    """A client of a retriever over it, with an empty collection."""
    async with retriever_mesh(tmp_path, lite.uri) as made:
        await made.create()
        yield made


@pytest.fixture
async def cli(
    memory: Memory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Cli]:
    """The command line before a fake gateway, whose ``memory`` the module says."""
    monkeypatch.chdir(tmp_path)
    async with running(gateway_service(memory)) as server:
        yield Cli(server.address, tmp_path, monkeypatch, capsys)
