"""Clients of one generator, in a process of their own: each asks again once it is answered.

Started by ``benchmarks.generator``, which reads the JSON that this prints. Both kinds stream, keep
their connections, and read the text of every piece as it comes.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from random import Random
from typing import TYPE_CHECKING

import aiohttp

from groundmesh.channel import open_channel
from groundmesh.v1.generator_pb2 import GenerateRequest, Prompt, Sampling
from groundmesh.v1.generator_pb2_grpc import GeneratorServiceStub

if TYPE_CHECKING:
    from groundmesh.v1.generator_pb2_grpc import GeneratorServiceAsyncStub

CONSTANT = "The task is to continue a list of measurements, one number after the other. " * 20
"""What all prompts begin with, as those of a gateway do: the prefix cache has it."""
NUMBERS = 40
"""In the part of a prompt that is its own."""


@dataclass(frozen=True)
class Load:
    """What is asked, of whom."""

    kind: str
    address: str
    model: str
    clients: int
    requests: int
    tokens: int
    seed: int


@dataclass
class Answers:
    """What came of it."""

    seconds: float = 0.0
    tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    first_s: list[float] = field(default_factory=list)
    """From sending to the first piece of text, for each answer."""


Ask = Callable[[str, Answers], Awaitable[None]]


def prompts(load: Load) -> Iterator[str]:
    """Different in every request, the same for both generators."""
    random = Random(load.seed)  # noqa: S311 - no secret
    for _ in range(load.requests):
        yield CONSTANT + " ".join(str(random.randrange(1000)) for _ in range(NUMBERS))


async def run(load: Load, ask: Ask) -> Answers:
    """All requests, shared out among the clients."""
    answers, waiting = Answers(), prompts(load)

    async def client() -> None:
        for prompt in waiting:
            await ask(prompt, answers)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(load.clients)))
    answers.seconds = time.perf_counter() - began
    return answers


async def over_grpc(load: Load) -> Answers:
    """Ask Groundmesh's generator."""
    async with open_channel(load.address) as channel:
        stub: GeneratorServiceAsyncStub = GeneratorServiceStub(channel)

        async def ask(prompt: str, answers: Answers) -> None:
            sampling = Sampling(temperature=0, max_tokens=load.tokens)
            request = GenerateRequest(prompt=Prompt(text=prompt), sampling=sampling)
            began, is_first = time.perf_counter(), True
            async for event in stub.Generate(request):
                if is_first and event.delta.text:
                    answers.first_s.append(time.perf_counter() - began)
                    is_first = False
            usage = event.final.usage
            answers.tokens += usage.completion_tokens
            answers.prompt_tokens += usage.prompt_tokens
            answers.cached_tokens += usage.cached_prompt_tokens

        return await run(load, ask)


async def over_http(load: Load) -> Answers:
    """Ask ``vllm serve``."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://{load.address}", connector=connector) as session:

        async def ask(prompt: str, answers: Answers) -> None:
            body = {
                "model": load.model,
                "prompt": prompt,
                "temperature": 0,
                "max_tokens": load.tokens,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            began, is_first = time.perf_counter(), True
            async with session.post("/v1/completions", json=body) as response:
                response.raise_for_status()
                async for line in response.content:
                    if not line.startswith(b"data: {"):
                        continue
                    event = json.loads(line[6:])
                    if is_first and event["choices"] and event["choices"][0]["text"]:
                        answers.first_s.append(time.perf_counter() - began)
                        is_first = False
            answers.tokens += event["usage"]["completion_tokens"]
            answers.prompt_tokens += event["usage"]["prompt_tokens"]

        return await run(load, ask)


KINDS = {"grpc": over_grpc, "http": over_http}


def main() -> None:
    """Read a load from the command line, print what came of it."""
    load = Load(**json.loads(sys.argv[1]))
    json.dump(asdict(asyncio.run(KINDS[load.kind](load))), sys.stdout)


if __name__ == "__main__":
    main()
