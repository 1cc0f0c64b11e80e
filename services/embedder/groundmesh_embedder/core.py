"""The embedder: models that answer many callers at once, batched together."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from groundmesh.errors import FailedPrecondition, MeshError, Reason, Unavailable
from groundmesh.server.engine import EngineInfo
from groundmesh_embedder.backends.base import (
    Backend,
    EmbeddingModelInfo,
    Encoded,
    InputKind,
    RerankerInfo,
)
from groundmesh_embedder.fair_queue import AT_ONCE, FairQueue, Turn
from groundmesh_embedder.loaded import Loaded, Tokenizer, load_embedding, not_served
from groundmesh_embedder.scheduler import Outcome, Scheduler
from groundmesh_embedder.texts import TextLimits, parts, refuse_truncation
from groundmesh_embedder.worker import Worker

WARM_UP = "The quick brown fox jumps over the lazy dog."
"""Embedded at start: an embedder is ready once it has answered this."""


@dataclass(frozen=True)
class EmbedderOptions:
    """What is served, and within which bounds."""

    model: str
    more_models: tuple[str, ...] = ()
    """Served beside it, for collections that were built with them, or are to be."""
    reranker: str | None = None
    limits: TextLimits = field(default_factory=TextLimits)
    max_answer_bytes: int = 15 * 1024 * 1024
    """Vectors of one call; fewer texts are accepted when they would pass it."""
    max_queued_items: int = 16_384
    max_queued_tokens: int = 262_144
    batch_tokens: int = 0
    """Tokens run at once; 0: what suits the device."""
    start_timeout_s: float = 300.0
    stop_timeout_s: float = 5.0
    stuck_after_s: float = 60.0


@dataclass(frozen=True)
class Answer:
    """What the model made of the inputs of one call, in their order."""

    model: EmbeddingModelInfo | RerankerInfo
    inputs: Sequence[Encoded]
    outcome: Outcome


@dataclass
class Embedder:
    """Embeds and reranks; an ``Engine`` of the chassis."""

    engine: str
    """The engine's name."""
    open_backend: Callable[[], Backend]
    """Called at start, off the event loop: importing the libraries of an engine takes seconds."""
    options: EmbedderOptions
    _worker: Worker = field(init=False, default_factory=partial(Worker, "embedder-model"))
    _tokenizer: Worker = field(init=False, default_factory=partial(Worker, "embedder-tokenizer"))
    _queue: FairQueue = field(init=False)
    _loaded: Loaded | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._queue = FairQueue(
            max_items=self.options.max_queued_items, max_tokens=self.options.max_queued_tokens
        )

    async def start(self) -> None:
        """Load the models and embed a sentence."""
        try:
            async with asyncio.timeout(self.options.start_timeout_s):
                self._loaded = await self._load()
                await self.embed([WARM_UP], InputKind.QUERY)
                if self._loaded.reranker:
                    await self.rerank(WARM_UP, [WARM_UP])
        except MeshError:
            raise
        except TimeoutError as error:
            limit = f"{self.options.start_timeout_s:g} s"
            raise _dead(f"the embedder's models were not loaded within {limit}") from error
        except Exception as error:
            raise _dead(f"the embedder's models can't be loaded: {error}") from error

    async def check(self) -> None:
        """Raise when the thread of the model is dead or stuck."""
        self._ready.scheduler.check(stuck_after_s=self.options.stuck_after_s)

    async def stop(self) -> None:
        """Fail what still waits and end both threads, or give up on one that is stuck."""
        if self._loaded:
            await self._loaded.scheduler.close()
        timeout_s = self.options.stop_timeout_s
        await asyncio.gather(
            self._worker.stop(timeout_s=timeout_s), self._tokenizer.stop(timeout_s=timeout_s)
        )

    def describe(self) -> EngineInfo:
        """The engine, the models served and how much waits and runs."""
        models: list[EmbeddingModelInfo | RerankerInfo] = []
        if self._loaded:
            models += self.embedding_models() + self.rerankers()
        running = self._loaded.scheduler.running_tokens if self._loaded else 0
        return EngineInfo(
            engine=self.engine,
            engine_version=self._loaded.backend.version if self._loaded else "",
            models=tuple(model.name for model in models),
            load={
                "queued_texts": float(self._queue.items),
                "queued_tokens": float(self._queue.tokens),
                "running_tokens": float(running),
            },
        )

    async def embed(
        self,
        texts: Sequence[str],
        kind: InputKind,
        *,
        model: str = "",
        strict: bool = False,
        turn: Turn = AT_ONCE,
    ) -> Answer:
        """A vector for each text; ``strict`` refuses a text that the model would cut off."""
        loaded = self._ready
        embedding = loaded.embedding(model)
        embedding.limits.check(texts, field="texts")
        loaded.scheduler.ensure_room(turn)
        encode = partial(embedding.model.encode, kind=kind)
        inputs = await self._encode(texts, encode)
        if strict:
            refuse_truncation(inputs, field="texts")
        outcome = await loaded.scheduler.run(embedding.model, inputs, turn=turn)
        return Answer(embedding.model.info, inputs, outcome)

    async def rerank(
        self, query: str, passages: Sequence[str], *, model: str = "", turn: Turn = AT_ONCE
    ) -> Answer:
        """A score for each passage: how well it answers the query."""
        loaded = self._ready
        if loaded.reranker is None:
            raise FailedPrecondition(
                "this embedder was started without a cross-encoder (--reranker)",
                reason=Reason.RERANKER_NOT_CONFIGURED,
            )
        info = loaded.reranker.info
        if model not in ("", info.name):
            raise not_served(model, info.name)
        loaded.limits.check_one(query, field="query")
        loaded.limits.check(passages, field="passages")
        loaded.scheduler.ensure_room(turn)
        inputs = await self._encode(passages, partial(loaded.reranker.encode_pairs, query))
        outcome = await loaded.scheduler.run(loaded.reranker, inputs, turn=turn)
        return Answer(info, inputs, outcome)

    def embedding_models(self) -> tuple[EmbeddingModelInfo, ...]:
        """The embedding models served; the first is the default."""
        return tuple(each.model.info for each in self._ready.embeddings.values())

    def rerankers(self) -> tuple[RerankerInfo, ...]:
        """The cross-encoders served; none when none is configured."""
        reranker = self._ready.reranker
        return (reranker.info,) if reranker else ()

    def tokenizer(self, model: str = "") -> Tokenizer:
        """The tokenizer of an embedding model."""
        return self._ready.embedding(model).tokenizer

    @property
    def _ready(self) -> Loaded:
        if self._loaded is None:
            raise Unavailable("the embedder is still loading its model", reason=Reason.NOT_READY)
        return self._loaded

    async def _load(self) -> Loaded:
        load, options = self._worker.run, self.options
        backend = await load(self.open_backend)
        embeddings = {}
        for name in (options.model, *options.more_models):
            loaded = await load(
                partial(
                    load_embedding,
                    backend,
                    name,
                    limits=options.limits,
                    max_answer_bytes=options.max_answer_bytes,
                )
            )
            embeddings[loaded.model.info.name] = loaded
        reranker = None
        if options.reranker:
            reranker = await load(partial(backend.load_reranker, options.reranker))
        scheduler = Scheduler(
            self._queue,
            self._worker,
            batch_tokens=options.batch_tokens or backend.batch_tokens,
        )
        return Loaded(backend, embeddings, reranker, scheduler, options.limits)

    async def _encode(
        self, texts: Sequence[str], encode: Callable[[Sequence[str]], list[Encoded]]
    ) -> list[Encoded]:
        # Part by part, so that the tokenizer's thread takes turns between callers.
        encoded: list[Encoded] = []
        for part in parts(texts):
            encoded += await self._tokenizer.run(partial(encode, part))
        return encoded


def _dead(message: str) -> Unavailable:
    return Unavailable(message, reason=Reason.ENGINE_DEAD)
