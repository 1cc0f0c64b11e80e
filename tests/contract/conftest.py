"""Engines that generate, each started once for all the tests that hold it to the contract."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from groundmesh_generator.backends import open_backend
from groundmesh_generator.backends.base import AdapterLimits, Backend, BackendOptions
from tests.fakes.paced_generator import PacedBackend
from tests.generation_models import smollm2
from tests.vllm_serve import MODEL, vllm_serve

ENGINES = ("paced", "vllm", "openai")


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=ENGINES)
async def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Backend]:
    async with AsyncExitStack() as stack:
        folder = tmp_path_factory.mktemp("engine")
        opened = await _opened(request.param, folder, stack)
        assert opened.model is None
        assert opened.version
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what vLLM imports warns of its own future
            await opened.start()
        yield opened
        await opened.stop()
        await opened.stop()


async def _opened(name: str, folder: Path, stack: AsyncExitStack) -> Backend:
    if name == "paced":
        return PacedBackend(token_s=0.01)
    model = await asyncio.to_thread(smollm2)
    if name == "vllm":
        return open_backend("vllm", BackendOptions(model=model, adapters=AdapterLimits()))
    endpoint = await stack.enter_async_context(vllm_serve(folder))
    return open_backend("openai", BackendOptions(MODEL, endpoint=endpoint, tokenizer=model))
