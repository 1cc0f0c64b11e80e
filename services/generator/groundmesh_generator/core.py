"""The generator: one model, many callers, text as it is made."""

import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property

from groundmesh.adapters import AdapterRef
from groundmesh.errors import Internal, InvalidArgument, NotFound, Reason, Unavailable
from groundmesh.server.engine import EngineInfo
from groundmesh_generator.adapters.adapters import AdapterOptions, Adapters
from groundmesh_generator.admission import Admission, AdmissionLimits, Demand
from groundmesh_generator.backends.base import (
    Adapter,
    Backend,
    Delta,
    Finished,
    GenerationJob,
    ModelInfo,
    Priority,
    TokenizerFile,
)
from groundmesh_generator.cache_hits import CacheHits
from groundmesh_generator.prompts import Prompt, check_prompt
from groundmesh_generator.sampling import Sampling, check_sampling
from groundmesh_generator.seen_prefixes import SeenPrefixes
from groundmesh_generator.window import tokens_to_generate

MAX_PROMPTS = 1024
"""Counted in one call."""


@dataclass(frozen=True)
class GeneratorOptions:
    """Within which bounds it generates."""

    max_output_tokens: int = 1024
    """Of one answer, whatever the window leaves."""
    adapters: AdapterOptions | None = None
    """None: none are served."""
    limits: AdmissionLimits = field(default_factory=AdmissionLimits)


@dataclass(frozen=True, slots=True)
class Started:
    """The request is accepted, and its prompt counted."""

    model: str
    prompt_tokens: int
    adapter: AdapterRef | None = None


@dataclass(frozen=True)
class Generator:
    """Generates and counts; an ``Engine`` of the chassis."""

    backend: Backend
    options: GeneratorOptions = GeneratorOptions()

    @cached_property
    def adapters(self) -> Adapters:
        """The tuned adapters of the model."""
        return Adapters(self.backend, self.options.adapters)

    async def start(self) -> None:
        """Load the model and continue each warm-up by a token; only then it is ready."""
        await self.backend.start()
        await self.adapters.start()
        for prompt in self.backend.warm_ups:
            events = [event async for event in self.generate(prompt, Sampling(max_tokens=1))]
            if not isinstance(events[-1], Finished):
                raise Internal("the engine gave no token")
        self._cache_hits.reset()

    async def check(self) -> None:
        """Raise when the engine is dead."""
        await self.backend.check()

    async def stop(self) -> None:
        """End the engine and its processes."""
        await self.adapters.stop()
        await self.backend.stop()

    def describe(self) -> EngineInfo:
        """The engine, the model, what runs and waits, and what the prefix cache has saved."""
        load = self.backend.load
        admission = self._admission
        return EngineInfo(
            engine=self.backend.name,
            engine_version=self.backend.version,
            models=(served.name,) if (served := self.backend.model) else (),
            load={
                "running_requests": float(load.running),
                "waiting_requests": float(load.waiting + admission.held_back),
                "waiting_prompt_tokens": float(admission.waiting_tokens),
                **self._cache_hits.figures(),
            },
        )

    @cached_property
    def _admission(self) -> Admission:
        return Admission(
            self.options.limits,
            engine_waiting=lambda: self.backend.load.waiting,
            cache_tokens=lambda: model.cache_tokens if (model := self.backend.model) else 0,
        )

    @cached_property
    def _seen_prefixes(self) -> SeenPrefixes:
        return SeenPrefixes()

    @cached_property
    def _cache_hits(self) -> CacheHits:
        return CacheHits()

    async def generate(
        self,
        prompt: Prompt,
        sampling: Sampling,
        *,
        model: str = "",
        adapter: AdapterRef | None = None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> AsyncGenerator[Started | Delta | Finished, None]:
        """``Started``, deltas, ``Finished``; closing it early aborts the work in the engine."""
        served = self.require_model(model)
        job = await self._job(prompt, sampling, priority=priority)
        # In this order: what is refused has nothing loaded, and what waits keeps no adapter.
        async with (
            self._admission.place(self._demand(job)) as place,
            self._using(adapter) as loaded,
        ):
            self._admission.enter(place)
            self._seen_prefixes.remember(job.token_ids)
            yield Started(served.name, len(job.token_ids), adapter)
            async with aclosing(self.backend.generate(replace(job, adapter=loaded))) as events:
                async for event in events:
                    self._admission.read(place)
                    if isinstance(event, Finished):
                        self._learn(event)
                    yield event

    async def _job(
        self, prompt: Prompt, sampling: Sampling, *, priority: Priority
    ) -> GenerationJob:
        """A request that was checked, and its prompt counted."""
        received_at = time.monotonic()
        served, limit = self.require_model(), self.options.max_output_tokens
        check_prompt(prompt, field="prompt", context_tokens=served.context_tokens)
        check_sampling(sampling, field="sampling", max_output_tokens=limit)
        await self.backend.accept(sampling, field="sampling")
        token_ids = await self.backend.encode(prompt, field="prompt")
        max_tokens = tokens_to_generate(
            sampling.max_tokens,
            prompt_tokens=len(token_ids),
            model=served,
            max_output_tokens=limit,
        )
        return GenerationJob(
            id=uuid.uuid4().hex,
            prompt=prompt,
            token_ids=token_ids,
            sampling=sampling,
            max_tokens=max_tokens,
            priority=priority,
            received_at=received_at,
        )

    def _demand(self, job: GenerationJob) -> Demand:
        prompt_tokens = len(job.token_ids)
        return Demand(
            job.priority,
            prompt_tokens=prompt_tokens,
            least_unread=self._seen_prefixes.least_unread(job.token_ids),
            max_tokens=prompt_tokens + job.sampling.answers * job.max_tokens,
            answers=job.sampling.answers,
        )

    def _learn(self, event: Finished) -> None:
        cached, total = event.cached_prompt_tokens, event.prompt_tokens
        self._cache_hits.count(prompt_tokens=total, cached_tokens=cached)
        if event.timings.knows_queue:  # else it says nothing of how fast the engine can be
            self._admission.pace.learn_one(tokens=total - cached, seconds=event.timings.prefill_s)

    def _using(self, adapter: AdapterRef | None) -> AbstractAsyncContextManager[Adapter | None]:
        return self.adapters.use(adapter) if adapter else nullcontext()

    async def prepare_adapter(self, adapter: AdapterRef) -> float:
        """Have an adapter fetched and loaded; the seconds that it took."""
        began_at = time.monotonic()
        async with self.adapters.use(adapter):
            return time.monotonic() - began_at

    async def count_tokens(self, prompts: Sequence[Prompt], *, model: str = "") -> list[int]:
        """The tokens of each prompt as the model would read it."""
        served = self.require_model(model)
        self.tokenizer(model)  # Unimplemented where nobody can count
        if not prompts:
            raise InvalidArgument.of_field("prompts", "must hold at least one prompt")
        if len(prompts) > MAX_PROMPTS:
            raise InvalidArgument.of_field(
                "prompts", f"holds {len(prompts)} prompts; at most {MAX_PROMPTS} go into one call"
            )
        for index, prompt in enumerate(prompts):
            check_prompt(prompt, field=f"prompts[{index}]", context_tokens=served.context_tokens)
        # One by one, so that the tokenizer takes turns between callers.
        return [
            len(await self.backend.encode(prompt, field=f"prompts[{index}]"))
            for index, prompt in enumerate(prompts)
        ]

    def tokenizer(self, model: str = "") -> TokenizerFile:
        """The model's tokenizer, for those who count without the model."""
        self.require_model(model)
        return self.backend.tokenizer

    def require_model(self, name: str = "") -> ModelInfo:
        """The model of that name, the one served for an empty name."""
        served = self.backend.model
        if served is None:
            raise Unavailable("the model is still loading", reason=Reason.NOT_READY)
        if name not in ("", served.name):
            raise NotFound(
                f"model {name!r} is not served here; {served.name!r} is",
                reason=Reason.MODEL_NOT_FOUND,
            )
        return served
