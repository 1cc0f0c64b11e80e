"""What room for adapters costs those who use none, and what using them costs.

Two engines with the same model, one with room and one without, measured in turns. Named alone: it
loads the model twice. Above 1.00 is what adapters cost.
"""

import asyncio
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import cycle
from pathlib import Path

from benchmarks.comparison import Comparison, in_turns
from groundmesh.models import DEFAULT_GENERATION_MODEL
from groundmesh_generator.backends import open_backend
from groundmesh_generator.backends.base import (
    Adapter,
    AdapterLimits,
    Backend,
    BackendOptions,
    GenerationJob,
    Priority,
)
from groundmesh_generator.prompts import TextPrompt
from groundmesh_generator.sampling import Sampling
from tests.adapter_files import pair, write_adapter

ANSWERS = 16
TOKENS = 32
PROMPT_NUMBERS = 15
"""Of six digits, each a token or more."""
RANK = 16
LAYERS, WIDTH = 30, 576
"""Of the default model."""


async def measure() -> list[Comparison]:
    """Answers that are made at once, each to a prompt of its own."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        (without, without_s), (room, room_s) = (
            await enter(_started(None)),
            await enter(_started(AdapterLimits())),
        )
        folder = Path(await asyncio.to_thread(stack.enter_context, tempfile.TemporaryDirectory()))
        adapters = [_adapter(folder, number) for number in (1, 2)]
        for adapter in adapters:
            await room.load_adapter(adapter)
        unused = await in_turns(
            partial(_answer_all, room, [None]), partial(_answer_all, without, [None]), units=ANSWERS
        )
        used = await in_turns(
            partial(_answer_all, room, adapters), partial(_answer_all, room, [None]), units=ANSWERS
        )
    return [
        Comparison("start", "with room for adapters", room_s, "without", without_s),
        Comparison("an answer of 16", "with room, none used", unused[0], "without", unused[1]),
        Comparison("an answer of 16", "of two adapters", used[0], "of the base model", used[1]),
    ]


@asynccontextmanager
async def _started(adapters: AdapterLimits | None) -> AsyncIterator[tuple[Backend, float]]:
    backend = open_backend(
        "vllm", BackendOptions(model=DEFAULT_GENERATION_MODEL, adapters=adapters)
    )
    began = time.perf_counter()
    try:
        await backend.start()
        yield backend, time.perf_counter() - began
    finally:
        await backend.stop()


def _adapter(folder: Path, number: int) -> Adapter:
    """One that changes nothing, in the attention of every layer."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(LAYERS):
        for name in ("q_proj", "o_proj"):
            module = f"model.layers.{layer}.self_attn.{name}"
            shapes |= pair(module, rank=RANK, inputs=WIDTH, outputs=WIDTH)
    made = write_adapter(folder / str(number), shapes, r=RANK)
    return Adapter(f"zeros-{number}", number, str(made))


async def _answer_all(backend: Backend, adapters: Sequence[Adapter | None]) -> None:
    using = cycle(adapters)
    await asyncio.gather(*(_answer(backend, next(using)) for _ in range(ANSWERS)))


async def _answer(backend: Backend, adapter: Adapter | None) -> None:
    # Words of its own, so that the prefix cache has none of it.
    words = " ".join(str(random.randrange(10**6)) for _ in range(PROMPT_NUMBERS))  # noqa: S311
    prompt = TextPrompt(words)
    job = GenerationJob(
        id=uuid.uuid4().hex,
        prompt=prompt,
        token_ids=await backend.encode(prompt, field="prompt"),
        sampling=Sampling(temperature=0.0),
        max_tokens=TOKENS,
        priority=Priority.INTERACTIVE,
        received_at=time.monotonic(),
        adapter=adapter,
    )
    async for _ in backend.generate(job):
        pass
