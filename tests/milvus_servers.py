"""Milvus servers for tests, each a process of its own that dies with the tests."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pymilvus import MilvusClient

from groundmesh.errors import Unavailable
from groundmesh.lifetime import tied
from groundmesh_retriever.stores.base import IndexSpec
from groundmesh_retriever.stores.milvus import MilvusStore
from groundmesh_retriever.stores.milvus_connection import CHANNEL

UP_WITHIN_S = 120.0


@dataclass
class MilvusProcess:
    """A server that can be killed and started again over the same folder, at the same address."""

    command: tuple[str, ...]
    port: int
    log: Path
    full_text: bool
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(tied(self.command), stdout=log, stderr=log)

    def kill(self) -> None:
        """As an operator's kill -9 would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Answer nothing, refuse nothing: as a host that is gone would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def up(self) -> None:
        """Wait until it really works: a server answers before it can make a collection."""
        store = MilvusStore(self.uri, token="", timeout_s=10.0)
        end = time.monotonic() + UP_WITHIN_S
        try:
            while True:
                try:
                    await store.create_index(IndexSpec("up", 2, full_text=self.full_text))
                    return await store.drop_index("up")
                except Unavailable:
                    assert time.monotonic() < end, self.log.read_text()[-2000:]
                    assert self.process is not None, "start it first"
                    assert self.process.poll() is None, self.log.read_text()[-2000:]
                    await asyncio.sleep(0.2)
        finally:
            await store.close()


@contextmanager
def milvus_lite(folder: Path) -> Iterator[MilvusProcess]:
    """Milvus Lite as a server, the way ``groundmesh up`` runs it."""
    port = free_port()
    arguments = ("server", "--data-dir", str(folder / "data"), "--port", str(port))
    command = (sys.executable, "-m", "milvus_lite", *arguments, "--host", "127.0.0.1")
    with _running(MilvusProcess(command, port, folder / "log", full_text=True)) as server:
        yield server


@contextmanager
def real_milvus(folder: Path) -> Iterator[MilvusProcess]:
    """A real Milvus server, the last that comes in a wheel: 2.3.5, too old for full text."""
    port, *etcd_ports = free_port(), free_port(), free_port()
    script = Path(__file__).with_name("real_milvus.py")
    ports = map(str, (port, *etcd_ports))
    command = (sys.executable, "-W", "ignore", str(script), str(folder / "data"), *ports)
    with _running(MilvusProcess(command, port, folder / "log", full_text=False)) as server:
        yield server


def milvus_client(uri: str) -> MilvusClient:
    """pymilvus itself; with its own keepalive Milvus Lite would hang up on it."""
    return MilvusClient(uri, grpc_options=CHANNEL, dedicated=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(server: MilvusProcess) -> Iterator[MilvusProcess]:
    server.start()
    try:
        yield server
    finally:
        server.kill()
