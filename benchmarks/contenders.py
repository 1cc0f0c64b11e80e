"""The generators that are measured, as processes: ours, and ``vllm serve``."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp

from benchmarks.pausing import PausableServer
from groundmesh.channel import open_channel
from groundmesh.models import DEFAULT_GENERATION_MODEL
from groundmesh.v1.mesh_pb2 import GetServerInfoRequest
from groundmesh.v1.mesh_pb2_grpc import MeshServiceStub

START_LIMIT_S = 240.0
ENGINE_FLAGS = {
    "dtype": "bfloat16",
    "max_model_len": 4096,
    "kv_cache_memory_bytes": 1024**3,
    "max_num_batched_tokens": 128,
    "max_num_seqs": 128,
}
ENV = {"VLLM_CPU_OMP_THREADS_BIND": "auto", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}


def our_command() -> tuple[str, ...]:
    """Groundmesh's generator as it is by default, but that it may be paused."""
    return (
        *(sys.executable, "-m", "groundmesh_generator", "--model", DEFAULT_GENERATION_MODEL),
        # A pause may begin within a check.
        *("--engine-check-timeout-s", "3600"),
    )


def our_flags() -> tuple[str, ...]:
    """What makes our engine the same as theirs."""
    return ("--engine-args", json.dumps(ENGINE_FLAGS))


def their_command(path: str) -> tuple[str, ...]:
    """``vllm serve`` with the same engine."""
    flags = {f"--{name.replace('_', '-')}": str(value) for name, value in ENGINE_FLAGS.items()}
    return (
        # The command ``vllm serve`` asks for a distribution called vllm, which its build for CPUs
        # is not; this is what it starts.
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", path),
        *("--host", "127.0.0.1", "--enforce-eager"),
        *("--enable-prefix-caching", "--scheduling-policy", "priority"),
        # What costs it time and nobody asked for.
        *("--disable-log-stats", "--disable-uvicorn-access-log"),
        *(part for flag in flags.items() for part in flag),
    )


async def wait_ready(
    server: PausableServer, is_ready: Callable[[str], Awaitable[bool]], address: str
) -> None:
    """Return once it serves; TimeoutError, RuntimeError when it has ended."""
    end = time.monotonic() + START_LIMIT_S
    while not await is_ready(address):
        server.require_alive()
        if time.monotonic() > end:
            raise TimeoutError(f"a server is not ready: {server.log.read_text()[-2000:]}")
        await asyncio.sleep(0.5)


async def grpc_ready(address: str) -> bool:
    """Whether a service of the mesh serves there."""
    async with open_channel(address) as channel:
        try:
            info = await MeshServiceStub(channel).GetServerInfo(GetServerInfoRequest(), timeout=5)
        except Exception:  # noqa: BLE001 - not listening yet
            return False
    return bool(info.server.ready)


async def http_ready(address: str) -> bool:
    """Whether ``vllm serve`` serves there."""
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{address}/health") as response,
        ):
            return bool(response.ok)
    except (aiohttp.ClientError, TimeoutError):
        return False
