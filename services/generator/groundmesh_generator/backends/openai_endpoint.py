"""A model behind any OpenAI-compatible endpoint: a ``vllm serve``, a cloud."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundmesh.errors import (
    FailedPrecondition,
    NotFound,
    Reason,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from groundmesh.models import resolve_model
from groundmesh.models.recipes import RECIPES
from groundmesh_generator.backends.base import (
    Adapter,
    BackendOptions,
    Delta,
    EngineLoad,
    Finished,
    GenerationJob,
    ModelInfo,
    TokenizerFile,
)
from groundmesh_generator.prompts import ChatPrompt, Message, Prompt, Role
from groundmesh_generator.sampling import Sampling

if TYPE_CHECKING:
    from groundmesh_generator.backends.model_tokenizer import ModelTokenizer
    from groundmesh_generator.backends.openai_requests import Dialect

CONNECT_TIMEOUT_S = 5.0
RETRY_S = 1.0
"""Between two tries to reach an endpoint that is not there, or not there yet."""
CHECK_TRIES = 3
"""So that a moment without it does not end this service."""


class OpenAIBackend:
    """A model that somebody else serves; a ``Backend``."""

    name = "openai"
    warm_ups = (ChatPrompt((Message(Role.USER, "Hello"),)),)  # not every endpoint takes a text

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._model: ModelInfo | None = None
        self._tokenizer: ModelTokenizer | None = None
        self._spoken: Dialect | None = None
        self._client: Any = None
        self._running = 0

    @cached_property
    def version(self) -> str:
        """The version of the client, since an endpoint does not say its own."""
        return version("openai")

    @property
    def load(self) -> EngineLoad:
        """What this process has asked the endpoint for, and not got yet."""
        return EngineLoad(running=self._running)

    @property
    def model(self) -> ModelInfo | None:
        """The model served."""
        return self._model

    @property
    def tokenizer(self) -> TokenizerFile:
        """That of ``--tokenizer``; Unimplemented without."""
        if self._tokenizer is None:
            raise Unimplemented("the endpoint hands out no tokenizer; --tokenizer names one")
        return self._tokenizer.file

    @property
    def takes_adapters(self) -> bool:
        """It serves its own."""
        return False

    async def start(self) -> None:
        """Wait until the endpoint answers, and find the model among those that it serves."""
        from groundmesh_generator.backends.openai_requests import Dialect

        self._client = await asyncio.to_thread(_make_client, self._options)
        if self._options.tokenizer:
            self._tokenizer = await asyncio.to_thread(_load_tokenizer, self._options.tokenizer)
        card = await self._card(within_s=self._options.start_timeout_s)
        self._spoken = Dialect(is_vllm=getattr(card, "owned_by", "") == "vllm")
        window = self._options.context_tokens or getattr(card, "max_model_len", None)
        if window is None:
            raise FailedPrecondition(
                "the endpoint does not say how many tokens its model's window holds; "
                "--context-tokens does"
            )
        self._model = ModelInfo(card.id, "", window)

    async def check(self) -> None:
        """Ask the endpoint which models it serves."""
        try:
            await self._card(within_s=CHECK_TRIES * RETRY_S)
        except ResourceExhausted:
            return  # busy is alive

    async def stop(self) -> None:
        """Close the connections."""
        self._model = None
        if self._tokenizer is not None:
            self._tokenizer.close()
        if self._client is not None:
            await self._client.close()

    async def encode(self, prompt: Prompt, *, field: str) -> Sequence[int]:
        """Those of ``--tokenizer``; none without."""
        if self._tokenizer is None:
            return ()
        return await self._tokenizer.encode(prompt, field=field)

    async def accept(self, sampling: Sampling, *, field: str) -> None:
        """Refuse what the endpoint has no parameter for."""
        self._dialect.check(sampling, field=field)

    async def load_adapter(self, adapter: Adapter) -> None:
        """Unimplemented: what an endpoint serves is its own."""
        raise Unimplemented("adapters: an endpoint serves its own, by the name of a model")

    async def unload_adapter(self, adapter: Adapter) -> None:
        """None was loaded."""

    async def generate(self, job: GenerationJob) -> AsyncGenerator[Delta | Finished, None]:
        """See ``Backend.generate``. Closing the HTTP stream is what aborts it there."""
        from groundmesh_generator.backends.openai_errors import translated
        from groundmesh_generator.backends.openai_stream import Chunks

        arguments = self._dialect.arguments(job, model=self._options.model)
        chat, text = self._client.chat.completions, self._client.completions
        create = (chat if isinstance(job.prompt, ChatPrompt) else text).create
        self._running += 1
        try:
            chunks = Chunks(job)
            with translated():
                async with await create(**arguments) as stream:
                    async for chunk in stream:
                        for delta in chunks.add(chunk):
                            yield delta
                yield chunks.finished()
        finally:
            self._running -= 1

    @property
    def _dialect(self) -> "Dialect":
        if self._spoken is None:
            raise Unavailable("the endpoint is not known yet", reason=Reason.NOT_READY)
        return self._spoken

    async def _card(self, *, within_s: float) -> Any:
        """What the endpoint says of the model; tries again for so long while it is away or busy."""
        from groundmesh_generator.backends.openai_errors import translated

        end = asyncio.get_running_loop().time() + within_s
        while True:
            try:
                with translated():
                    cards = (await self._client.models.list()).data
                break
            except (Unavailable, ResourceExhausted):
                if asyncio.get_running_loop().time() + RETRY_S > end:
                    raise
            await asyncio.sleep(RETRY_S)
        for card in cards:
            if card.id == self._options.model:
                return card
        served = ", ".join(card.id for card in cards[:10]) or "none"
        raise NotFound(
            f"the endpoint does not serve the model {self._options.model!r}, but {served}",
            reason=Reason.MODEL_NOT_FOUND,
        )


def _make_client(options: BackendOptions) -> Any:
    """Import the client, which takes a second, and make one."""
    import openai

    silence_s = options.endpoint_timeout_s
    client = openai.AsyncOpenAI(
        base_url=options.endpoint,
        api_key=options.api_key or "none",  # the client insists on one
        timeout=openai.Timeout(silence_s, connect=min(CONNECT_TIMEOUT_S, silence_s)),
        max_retries=0,  # callers retry, in one place
    )
    _ = client.models, client.completions, client.chat.completions  # imported on first use
    return client


def _load_tokenizer(name: str) -> "ModelTokenizer":
    """Of a short name, a folder, or a hub name, of which only the tokenizer is fetched."""
    from transformers import AutoTokenizer

    from groundmesh_generator.backends.model_tokenizer import ModelTokenizer

    if name in RECIPES or Path(name).expanduser().is_dir():
        return ModelTokenizer(AutoTokenizer.from_pretrained(resolve_model(name).path))
    repository, _, revision = name.partition("@")
    try:
        return ModelTokenizer(
            AutoTokenizer.from_pretrained(repository, revision=revision or "main")
        )
    except (OSError, ValueError) as error:
        raise NotFound(f"no tokenizer {name!r}: {error}", reason=Reason.MODEL_NOT_FOUND) from error
