"""Clients that read answers token by token, in processes of their own.

They do nothing else, so that what is measured is not they.
"""

import asyncio
import os
import random
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import grpc.aio

from groundmesh.channel import open_channel
from groundmesh.v1 import gateway_pb2, gateway_pb2_grpc, generator_pb2, generator_pb2_grpc

if TYPE_CHECKING:
    from groundmesh.v1.gateway_pb2_grpc import GatewayServiceAsyncStub
    from groundmesh.v1.generator_pb2_grpc import GeneratorServiceAsyncStub

COLLECTION = "tenants/default/collections/bench"
TOKENS = 32
_BESIDE = (gateway_pb2.STAGE_EMBED, gateway_pb2.STAGE_SEARCH)
"""Stages whose time is not the gateway's price."""

_WORDS = ("harbour", "ferry", "ticket", "engine", "pier", "island", "winter", "letter", "garden")

Way = Literal["direct", "gateway"]


@dataclass(frozen=True)
class Load:
    """What one process does: so many clients, each asking again as soon as it has its answer."""

    way: Way
    address: str
    clients: int
    seconds: float
    stagger_s: float
    """Within which they begin, each at a moment of its own."""
    prompt_tokens: int
    """Of the prompt that the generator is given directly."""


@dataclass
class Samples:
    """Seconds to the first token, apart from embedding and searching, and between tokens."""

    first: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)

    def add(self, other: "Samples") -> None:
        """Add those of another."""
        self.first += other.first
        self.between += other.between


@dataclass
class Answer:
    """When the tokens of one answer came."""

    began: float
    moments: list[float]
    beside_s: float = 0.0
    prompt_tokens: int = 0


def run(load: Load) -> Samples:
    """All clients of this process."""
    return asyncio.run(_run(load))


async def _run(load: Load) -> Samples:
    samples = Samples()
    chance = random.Random(os.getpid())  # noqa: S311  no secret
    async with open_channel(load.address) as channel:
        await ask(channel, load, question="Warm?")
        end = time.perf_counter() + load.stagger_s + load.seconds

        async def client() -> None:
            await asyncio.sleep(chance.uniform(0, load.stagger_s))
            while time.perf_counter() < end:
                words = " ".join(chance.choices(_WORDS, k=8))
                answer = await ask(channel, load, question=f"What of {words}?")
                samples.first.append(answer.moments[0] - answer.began - answer.beside_s)
                samples.between += [after - before for before, after in pairwise(answer.moments)]

        await asyncio.gather(*(client() for _ in range(load.clients)))
    return samples


async def ask(channel: grpc.aio.Channel, load: Load, *, question: str) -> Answer:
    """One answer."""
    if load.way == "direct":
        return await _ask_generator(generator_pb2_grpc.GeneratorServiceStub(channel), load)
    return await _ask_gateway(gateway_pb2_grpc.GatewayServiceStub(channel), question)


async def _ask_generator(stub: "GeneratorServiceAsyncStub", load: Load) -> Answer:
    prompt = generator_pb2.Prompt(text="word " * load.prompt_tokens)
    sampling = generator_pb2.Sampling(max_tokens=TOKENS, temperature=0.0)
    answer = Answer(time.perf_counter(), [])
    request = generator_pb2.GenerateRequest(prompt=prompt, sampling=sampling)
    async for response in stub.Generate(request):
        if response.HasField("delta"):
            answer.moments.append(time.perf_counter())
    return answer


async def _ask_gateway(stub: "GatewayServiceAsyncStub", question: str) -> Answer:
    sampling = generator_pb2.Sampling(max_tokens=TOKENS)
    answer = Answer(time.perf_counter(), [])
    request = gateway_pb2.AskRequest(collections=[COLLECTION], question=question, sampling=sampling)
    async for response in stub.Ask(request):
        match response.WhichOneof("event"):
            case "delta":
                answer.moments.append(time.perf_counter())
            case "final":
                stages = response.final.timings
                beside = [each.duration for each in stages if each.stage in _BESIDE]
                answer.beside_s = sum(each.ToNanoseconds() / 1e9 for each in beside)
                answer.prompt_tokens = response.final.usage.prompt_tokens
    return answer
