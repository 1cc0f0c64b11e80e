"""What the contract tests of engines that generate ask of one."""

import time
import uuid
from dataclasses import dataclass, replace

from groundmesh_generator.backends.base import (
    Backend,
    Delta,
    Finished,
    GenerationJob,
    Priority,
)
from groundmesh_generator.prompts import ChatPrompt, Message, Prompt, Role, TextPrompt
from groundmesh_generator.sampling import Sampling
from tests.waiting import until

GREEDY = Sampling(temperature=0.0)
QUESTION = ChatPrompt((Message(Role.USER, "What is the capital of France? Say it in a sentence."),))
ENDLESS = TextPrompt("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,")
LONG = 200


@dataclass(frozen=True)
class Answer:
    deltas: list[Delta]
    finished: Finished

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)


async def job_for(
    backend: Backend, prompt: Prompt, sampling: Sampling = GREEDY, *, max_tokens: int = 32
) -> GenerationJob:
    await backend.accept(sampling, field="sampling")
    return GenerationJob(
        id=uuid.uuid4().hex,
        prompt=prompt,
        token_ids=await backend.encode(prompt, field="prompt"),
        sampling=sampling,
        max_tokens=max_tokens,
        priority=Priority.INTERACTIVE,
        received_at=time.monotonic(),
    )


async def answer(
    backend: Backend,
    prompt: Prompt,
    sampling: Sampling = GREEDY,
    *,
    max_tokens: int = 32,
    priority: Priority = Priority.INTERACTIVE,
) -> Answer:
    job = await job_for(backend, prompt, sampling, max_tokens=max_tokens)
    job = replace(job, priority=priority)
    *deltas, finished = [event async for event in backend.generate(job)]
    assert isinstance(finished, Finished)
    texts = [delta for delta in deltas if isinstance(delta, Delta)]
    assert len(texts) == len(deltas), "nothing but deltas comes before the end"
    return Answer(texts, finished)


async def idle(backend: Backend, *, within_s: float = 2.0) -> None:
    await until(lambda: backend.load.running + backend.load.waiting == 0, within_s=within_s)
