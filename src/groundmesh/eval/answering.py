"""Putting questions to a mesh, one record for each."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from groundmesh.client import (
    Answer,
    AskEvent,
    Client,
    Delta,
    MeshUnreachable,
    Retrieval,
    Sampling,
)
from groundmesh.client.client import gathered
from groundmesh.errors import MeshError
from groundmesh.eval.sample import Put

HIT_DEPTH = 5
"""Among so many passages the gold one shall be."""


@dataclass(frozen=True)
class Asking:
    """How the questions are put."""

    collection: str
    model: str
    template: str
    max_tokens: int | None
    concurrency: int
    """Questions at once; more than one makes batches, in which a model's tokens can differ."""
    timeout_s: float

    @property
    def sampling(self) -> Sampling:
        """The likeliest token each time."""
        return Sampling(temperature=0.0, max_tokens=self.max_tokens)


@dataclass(frozen=True)
class Record:
    """What became of a question."""

    put: Put
    answer: Answer | None
    """None: it failed."""
    found: tuple[str, ...] = ()
    """URIs of the best passages of its search."""
    error: str = ""
    first_ms: float = 0.0
    """From the call to the first text."""
    total_ms: float = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether it was not answered, by the mesh or by the model itself."""
        return self.answer is not None and self.answer.final.abstained

    @property
    def asked_model(self) -> bool:
        """Whether a model had to write for it."""
        return self.answer is not None and bool(self.answer.final.model)


@dataclass
class _Clock:
    """Notes when the first text of an answer came."""

    began: float = field(default_factory=time.perf_counter)
    first_ms: float = 0.0

    def ms(self) -> float:
        return (time.perf_counter() - self.began) * 1000


async def ask_all(
    mesh: Client,
    puts: Sequence[Put],
    how: Asking,
    *,
    on_done: Callable[[], object] = lambda: None,
) -> list[Record]:
    """A record for each question, in their order; only a mesh that is away ends it."""
    # One before the clocks start: it opens connections, and a gateway learns the model's tokens.
    for put in puts[:1]:
        await _record(mesh, put, how)
    records: dict[int, Record] = {}
    waiting = iter(enumerate(puts))

    async def work() -> None:
        for index, put in waiting:
            records[index] = await _record(mesh, put, how)
            on_done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(how.concurrency):
                group.create_task(work())
    except* MeshUnreachable as away:
        raise away.exceptions[0] from None
    return [records[index] for index in range(len(puts))]


async def _record(mesh: Client, put: Put, how: Asking) -> Record:
    try:
        found = await _found(mesh, put, how)
        clock = _Clock()
        answer = await _answer(mesh, put, how, clock)
    except MeshUnreachable:
        raise
    except MeshError as error:
        return Record(put, None, error=f"{error.message} ({error.reason})")
    return Record(put, answer, found, "", clock.first_ms, clock.ms())


async def _found(mesh: Client, put: Put, how: Asking) -> tuple[str, ...]:
    """By a search of its own: an answer's sources are those that its prompt had room for."""
    retrieval = replace(_retrieval(put), limit=HIT_DEPTH)
    result = await mesh.search(
        put.question.text,
        collection=how.collection,
        retrieval=retrieval,
        timeout_s=how.timeout_s,
    )
    return tuple(passage.uri for passage in result.passages)


async def _answer(mesh: Client, put: Put, how: Asking, clock: _Clock) -> Answer:
    events = mesh.ask(
        put.question.text,
        collection=how.collection,
        model=how.model,
        template=how.template,
        retrieval=_retrieval(put),
        sampling=how.sampling,
        timeout_s=how.timeout_s,
    )

    async def timed() -> AsyncGenerator[AskEvent, None]:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Delta) and not clock.first_ms:
                    clock.first_ms = clock.ms()
                yield event

    return await gathered(put.question.text, timed())


def _retrieval(put: Put) -> Retrieval:
    return Retrieval(filter=put.hidden)
