"""Commands as processes: their pipes and signals, against a fake gateway."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundmesh.testing import running
from groundmesh.v1 import collection_pb2
from tests.fakes.gateway import Memory, gateway_service
from tests.mesh.cli import cli_process
from tests.waiting import until

DOCS = "tenants/default/collections/docs"


@pytest.fixture
def memory() -> Memory:
    return Memory(collections={DOCS: collection_pb2.Collection(name=DOCS)})


@pytest.fixture
async def server(memory: Memory) -> AsyncIterator[str]:
    async with running(gateway_service(memory)) as running_server:
        yield running_server.address


async def test_the_answer_is_printed_as_it_is_made(
    server: str, memory: Memory, tmp_path: Path
) -> None:
    memory.pause.clear()
    process = await cli_process(server, tmp_path, "ask", "q", "-c", "docs")
    assert process.stdout
    async with asyncio.timeout(20):
        assert await process.stdout.readexactly(12) == b"Three months"
    memory.pause.set()
    async with asyncio.timeout(20):
        assert (await process.communicate())[0].startswith(b" [1].\n")


async def test_ctrl_c_leaves_at_once_and_ends_the_work(
    server: str, memory: Memory, tmp_path: Path
) -> None:
    memory.pause.clear()
    process = await cli_process(server, tmp_path, "ask", "q", "-c", "docs")
    await until(lambda: memory.open_calls == 1)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        _, err = await process.communicate()
    assert process.returncode == 130
    assert err == b""
    await until(lambda: memory.open_calls == 0)


async def test_a_reader_that_leaves_is_no_error(server: str) -> None:
    shell = f"{sys.executable} -m groundmesh.cli search q -c docs --server {server} | true"
    process = await asyncio.create_subprocess_exec(
        "bash", "-o", "pipefail", "-c", shell, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(30):
        _, err = await process.communicate()
    assert process.returncode in (0, 141)  # as the reader left after or before the output
    assert err in (b"", b"note: no full text here\n")


async def test_ctrl_c_in_ingest_says_how_to_go_on(
    server: str, memory: Memory, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")
    memory.pause.clear()
    process = await cli_process(server, tmp_path, "ingest", "a.txt", "-c", "docs")
    await until(lambda: memory.open_calls == 1)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        _, err = await process.communicate()
    assert process.returncode == 130
    assert b"stopped after 0 of 1 files" in err
    assert b"run the same command again" in err
    assert b"Traceback" not in err
