"""Each service starts to SERVING with nothing but its own distribution's dependencies installed."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from groundmesh.lifetime import tied

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
INSTALL_LIMIT_S = 300
STORE_LIMIT_S = 60
SERVING_LIMIT_S = 300  # vLLM's imports, on two cores that it may share


@dataclass(frozen=True)
class Alone:
    """A service by itself: what is installed, what must not be, and how it is started."""

    name: str
    grpc_service: str
    foreign: tuple[str, ...]
    extra: str = ""
    flags: tuple[str, ...] = ()
    needs_store: bool = False

    @property
    def requirement(self) -> str:
        extra = f"[{self.extra}]" if self.extra else ""
        return f"groundmesh-{self.name}{extra} @ {(ROOT / 'services' / self.name).as_uri()}"


NOWHERE = "127.0.0.1:1"  # the gateway is ready by itself: what it calls may come and go
SERVICES = (
    Alone("embedder", "EmbedderService", foreign=("ray", "vllm", "pymilvus")),
    Alone(
        "retriever",
        "RetrieverService",
        foreign=("torch", "transformers", "ray", "vllm"),
        extra="lite",
        needs_store=True,
    ),
    Alone(
        "generator",
        "GeneratorService",
        foreign=("ray", "pymilvus", "sentence_transformers"),
        extra="cpu",
    ),
    Alone("trainer", "MeshService", foreign=("vllm", "pymilvus", "sentence_transformers")),
    Alone(
        "gateway",
        "GatewayService",
        foreign=("torch", "transformers", "ray", "vllm", "pymilvus"),
        flags=tuple(f"--{peer}={NOWHERE}" for peer in ("embedder", "retriever", "generator")),
    ),
)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_a_service_runs_with_its_own_dependencies(service: Alone, tmp_path: Path) -> None:
    python = await asyncio.to_thread(environment_of, service, tmp_path / "venv")
    assert importable(python, service.foreign) == set()
    async with store(python, tmp_path) if service.needs_store else nothing() as flags:
        command = [f"groundmesh_{service.name}", "--port=0", *service.flags, *flags]
        async with started(python, "-m", *command) as process:
            async with asyncio.timeout(SERVING_LIMIT_S):
                address = await announced_address(process)
                drain = asyncio.create_task(read_all(process))
                await serving(address, f"groundmesh.v1.{service.grpc_service}")
            drain.cancel()
            process.terminate()
            assert await asyncio.wait_for(process.wait(), timeout=60) == 0


def environment_of(service: Alone, venv: Path) -> Path:
    """A new environment with the service alone, at the versions of the lock."""
    run(UV, "venv", "--quiet", "--python", sys.executable, venv)
    script = 'source tools/torch_source.sh && printf "%s\\n" "${torch_source[@]}"'
    torch_source = run("bash", "-c", script).split()
    limits = ["--constraints", "constraints/cpu.txt", "--overrides", "constraints/overrides.txt"]
    # uv rebuilds a folder only when its pyproject.toml changed, unless it is told to.
    fresh = ["--refresh-package", "groundmesh", "--refresh-package", f"groundmesh-{service.name}"]
    library = f"groundmesh @ {ROOT.as_uri()}"
    # Wheels, as others would install them: uv's workspace would make the library editable.
    install = ["pip", "install", "--quiet", "--no-sources", "--python", str(venv)]
    run(UV, *install, *torch_source, *limits, *fresh, library, service.requirement)
    return venv / "bin" / "python"


def run(*command: str | Path) -> str:
    done = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=INSTALL_LIMIT_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def importable(python: Path, modules: Iterable[str]) -> set[str]:
    """Those of the modules that the environment has."""
    code = "import sys, importlib.util as u; print(*filter(u.find_spec, sys.argv[1:]))"
    return set(run(python, "-c", code, *modules).split())


@asynccontextmanager
async def nothing() -> AsyncIterator[tuple[str, ...]]:
    yield ()


@asynccontextmanager
async def store(python: Path, folder: Path) -> AsyncIterator[tuple[str, ...]]:
    """Milvus Lite as a server, from the service's own environment; gives the flags for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "milvus_lite", "server", f"--data-dir={folder}/milvus"]
    async with started(python, *command, "--host=127.0.0.1", f"--port={port}") as process:
        drain = asyncio.create_task(read_all(process))
        async with asyncio.timeout(STORE_LIMIT_S), channel(f"127.0.0.1:{port}") as opened:
            await opened.channel_ready()
        yield (f"--milvus-uri=http://127.0.0.1:{port}", f"--data={folder}/retriever")
        drain.cancel()


@asynccontextmanager
async def started(python: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of another environment that never outlives this test."""
    process = await asyncio.create_subprocess_exec(
        *tied((str(python), *arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def announced_address(process: asyncio.subprocess.Process) -> str:
    """Where the service listens, from its log."""
    assert process.stdout is not None
    said: list[str] = []
    async for line in process.stdout:
        said.append(line.decode())
        if line.startswith(b"{") and "address" in (fields := json.loads(line)):
            return str(fields["address"])
    raise AssertionError("".join(said) or "the service said nothing")


async def read_all(process: asyncio.subprocess.Process) -> None:
    """Keep the pipe from filling up."""
    assert process.stdout is not None
    async for _ in process.stdout:
        pass


def channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])


async def serving(address: str, grpc_service: str) -> None:
    """Return once the service's health says SERVING; fail when the server goes away first."""
    async with channel(address) as opened:
        request = health_pb2.HealthCheckRequest(service=grpc_service)
        async for answer in health_pb2_grpc.HealthStub(opened).Watch(request):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
    raise AssertionError(f"{grpc_service} stopped before it was ready")
