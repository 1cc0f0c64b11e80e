"""The whole real mesh, started by `groundmesh up` as a user would."""

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

START_LIMIT_S = 240
STOP_LIMIT_S = 60
_PORTS = 6


@dataclass(frozen=True)
class RealMesh:
    """A running mesh: its supervisor, and where its gateway answers."""

    up: subprocess.Popen[bytes]
    base_port: int
    data: Path

    def address(self, offset: int = 0) -> str:
        """Where a service answers; the gateway's offset is 0."""
        return f"127.0.0.1:{self.base_port + offset}"

    def cli(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command of the CLI against this mesh."""
        return subprocess.run(
            [sys.executable, "-m", "groundmesh.cli", *arguments, "--server", self.address()],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def wait_ready(self, *, within_s: float = START_LIMIT_S) -> None:
        """Return when `groundmesh status` says that all is ready."""
        end = time.monotonic() + within_s
        while (status := self.cli("status", "--json")).returncode != 0:
            assert self.up.poll() is None, f"up has ended: {self.output()}"
            assert time.monotonic() < end, f"not ready: {status.stdout}{status.stderr}"
            time.sleep(1)

    def json(self, *arguments: str, timeout_s: float = 120) -> dict[str, object]:
        """The object that a command of the CLI prints with --json."""
        done = self.cli(*arguments, "--json", timeout_s=timeout_s)
        assert done.returncode == 0, done.stderr
        result: dict[str, object] = json.loads(done.stdout)
        return result

    def output(self) -> str:
        """What `up` has printed."""
        return (self.data.parent / "up.log").read_text()


@contextmanager
def real_mesh(folder: Path) -> Iterator[RealMesh]:
    """A mesh of its own with its data in ``folder``, all of it ready; stopped at the end."""
    data = folder / "data"
    port = free_port_range()
    command = [sys.executable, "-m", "groundmesh.cli", "up", "--data", str(data)]
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [*command, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    mesh = RealMesh(up, base_port=port, data=data)
    try:
        mesh.wait_ready()
        yield mesh
    finally:
        up.terminate()
        try:
            up.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            up.kill()
            raise


def free_port_range(count: int = _PORTS) -> int:
    """The first of ``count`` ports in a row that are free now."""
    for _ in range(100):
        # At random, so that two runs of the tests on one machine don't take the same.
        first = random.randrange(20_000, 30_000, count)
        if _all_free(range(first, first + count)):
            return first
    raise AssertionError("no free ports")


def _all_free(ports: range) -> bool:
    with ExitStack() as held:
        for port in ports:
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
