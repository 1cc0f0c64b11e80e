"""The generator: one model, many callers, text as it is made."""

import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, nullcontext
from dataclasses import dataclass
from functools import cached_property

from groundmesh.adapters import AdapterRef
from groundmesh.errors import Internal, InvalidArgument, NotFound, Reason, Unavailable
from groundmesh.server.engine import EngineInfo
from groundmesh_generator.adapters.adapters import AdapterOptions, Adapters
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
from groundmesh_generator.prompts import Prompt, check_prompt
from groundmesh_generator.sampling import Sampling, check_sampling
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
        """Load the model and generate a token; only then it is ready."""
        await self.backend.start()
        await self.adapters.start()
        for prompt in self.backend.warm_ups:
            events = [event async for event in self.generate(prompt, Sampling(max_tokens=1))]
            if not isinstance(events[-1], Finished):
                raise Internal("the engine gave no token")

    async def check(self) -> None:
        """Raise when the engine is dead."""
        await self.backend.check()

    async def stop(self) -> None:
        """End the engine and its processes."""
        await self.adapters.stop()
        await self.backend.stop()

    def describe(self) -> EngineInfo:
        """The engine, the model, and how many requests the engine itself counts."""
        load = self.backend.load
        return EngineInfo(
            engine=self.backend.name,
            engine_version=self.backend.version,
            models=(served.name,) if (served := self.backend.model) else (),
            load={
                "running_requests": float(load.running),
                "waiting_requests": float(load.waiting),
            },
        )

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
        received_at = time.monotonic()
        served = self.require_model(model)
        check_prompt(prompt, field="prompt", context_tokens=served.context_tokens)
        limit = self.options.max_output_tokens
        check_sampling(sampling, field="sampling", max_output_tokens=limit)
        await self.backend.accept(sampling, field="sampling")
        token_ids = await self.backend.encode(prompt, field="prompt")
        max_tokens = tokens_to_generate(
            sampling.max_tokens,
            prompt_tokens=len(token_ids),
            model=served,
            max_output_tokens=limit,
        )
        async with AsyncExitStack() as held:
            job = GenerationJob(
                id=uuid.uuid4().hex,
                prompt=prompt,
                token_ids=token_ids,
                sampling=sampling,
                max_tokens=max_tokens,
                priority=priority,
                received_at=received_at,
                adapter=await held.enter_async_context(self._using(adapter)),
            )
            yield Started(served.name, len(token_ids), adapter)
            events = await held.enter_async_context(aclosing(self.backend.generate(job)))
            async for event in events:
                yield event

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
