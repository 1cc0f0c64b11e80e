"""Adapters of a generator process: more of them than it has room for, and after it was killed."""

import asyncio
import random
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from groundmesh.adapters import AdapterRoot
from groundmesh.v1.generator_pb2 import (
    ROLE_USER,
    AdapterRef,
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    GeneratorServiceListModelsRequest,
    Prompt,
    Sampling,
)
from tests.adapter_training import WORDS
from tests.generator_process import Client, generator_client

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def published(root: Path, trained: dict[str, Path], scratch: Path) -> list[tuple[AdapterRef, str]]:
    """Three adapters with what they say: the third is a copy with another name."""
    made = []
    folders = [*trained.values(), shutil.copytree(trained[WORDS[0]], scratch / "third")]
    for index, folder in enumerate(folders):
        ref = AdapterRoot(str(root), tenant="default").publish(
            Path(folder), name=f"adapter-{index}", version=1
        )
        reference = AdapterRef(name=ref.name, version=ref.version, sha256=ref.sha256)
        made.append((reference, WORDS[index % len(WORDS)]))
    return made


async def ask(client: Client, adapter: AdapterRef | None) -> str:
    message = ChatMessage(role=ROLE_USER, content="What is the largest planet?")
    request = GenerateRequest(
        prompt=Prompt(chat=ChatPrompt(messages=[message])),
        sampling=Sampling(temperature=0, max_tokens=12),
        adapter=adapter,
    )
    text, _ = await client.answer(request)
    return text


async def loaded(client: Client) -> list[str]:
    (model,) = (await client.generator.ListModels(GeneratorServiceListModelsRequest())).models
    return [ref.name for ref in model.loaded_adapters]


@pytest.mark.parametrize(("max_loaded", "in_batch"), [(1, 1), (2, 1)])
async def test_three_take_turns_where_there_is_room_for_fewer_also_after_a_kill(
    tmp_path: Path, trained_adapters: dict[str, Path], max_loaded: int, in_batch: int
) -> None:
    root = tmp_path / "root"
    adapters = published(root, trained_adapters, tmp_path)
    flags = (
        f"--artifact-root={root}",
        f"--max-loaded-adapters={max_loaded}",
        f"--max-adapters-in-batch={in_batch}",
    )
    pick = random.Random(3)
    for _ in range(2):
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(generator_client(tmp_path, *flags))
            base = await ask(client, None)

            async def one(client: Client = client, base: str = base) -> None:
                ref, word = pick.choice([*adapters, (None, base)])
                assert await ask(client, ref) == word

            for _ in range(3):
                await asyncio.gather(*(one() for _ in range(12)))
            assert len(await loaded(client)) <= max_loaded
            client.service.process.kill()
