"""The embedder's settings."""

from dataclasses import dataclass
from typing import Literal

from groundmesh.addresses import default_port
from groundmesh.models import DEFAULT_EMBEDDING_MODEL
from groundmesh.server.settings import ServerSettings
from groundmesh_embedder.backends import BACKENDS
from groundmesh_embedder.backends.base import BackendOptions
from groundmesh_embedder.core import EmbedderOptions
from groundmesh_embedder.texts import TextLimits

LEAST = {
    "threads": 0,
    "max_texts": 1,
    "max_text_bytes": 1,
    "batch_tokens": 0,
    "max_queued_items": 1,
    "max_queued_tokens": 1,
    "stream_in_flight": 1,
    "start_timeout_s": 1,
    "stuck_after_s": 1,
}


@dataclass(frozen=True)
class EmbedderSettings(ServerSettings):
    """Groundmesh's embedder: texts to vectors, and (query, passage) pairs to scores."""

    port: int = default_port("embedder")
    """Port to listen on; 0 takes a free one and logs it."""
    model: str = DEFAULT_EMBEDDING_MODEL
    """Embedding model: short name, folder or hub name."""
    more_models: str = ""
    """Further embedding models, with commas between: a collection can be reindexed to one."""
    reranker: str | None = None
    """Cross-encoder: folder or hub name. Without one Rerank answers FAILED_PRECONDITION."""
    backend: str = "sentence-transformers"
    """Library that runs the models."""
    device: str = BackendOptions.device
    """auto (a GPU when there is one), cpu, cuda or cuda:N."""
    dtype: Literal["auto", "bf16", "f32"] = BackendOptions.dtype
    """Type in which models compute; auto takes bf16 where the processor has it."""
    threads: int = BackendOptions.threads
    """Threads of a batch on a CPU; 0 takes half of the cores and leaves the rest to others."""
    query_prompt: str | None = BackendOptions.query_prompt
    """Put before a query, instead of the model's own prompt."""
    passage_prompt: str | None = BackendOptions.passage_prompt
    """Put before a passage, instead of the model's own prompt."""
    max_texts: int = TextLimits.max_texts
    """Texts in one call; fewer when their vectors would not fit into a message."""
    max_text_bytes: int = TextLimits.max_text_bytes
    """Bytes of one text."""
    batch_tokens: int = EmbedderOptions.batch_tokens
    """Tokens run at once; 0 takes what suits the device."""
    max_queued_items: int = EmbedderOptions.max_queued_items
    """Texts that wait; past it calls are refused, and bulk streams are read no further."""
    max_queued_tokens: int = EmbedderOptions.max_queued_tokens
    """Tokens that wait; likewise."""
    stream_in_flight: int = 4
    """Requests of one bulk stream that are worked on or not yet read by the client."""
    start_timeout_s: float = EmbedderOptions.start_timeout_s
    """How long loading the models may take."""
    stuck_after_s: float = EmbedderOptions.stuck_after_s
    """A batch that runs for longer means that the engine is dead."""

    def __post_init__(self) -> None:
        """ValueError, in words for who set it, for values that can't work."""
        super().__post_init__()
        if self.backend not in BACKENDS:
            raise ValueError(f"--backend is {self.backend}, must be one of {', '.join(BACKENDS)}")
        if self.more_models and (self.query_prompt, self.passage_prompt) != (None, None):
            raise ValueError("--query-prompt and --passage-prompt don't go with --more-models")
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"--{name.replace('_', '-')} must be at least {least}")

    def backend_options(self) -> BackendOptions:
        """What the backend needs of them."""
        return BackendOptions(
            device=self.device,
            dtype=self.dtype,
            threads=self.threads,
            query_prompt=self.query_prompt,
            passage_prompt=self.passage_prompt,
        )

    def embedder_options(self) -> EmbedderOptions:
        """What the core needs of them."""
        return EmbedderOptions(
            model=self.model,
            more_models=tuple(filter(None, map(str.strip, self.more_models.split(",")))),
            reranker=self.reranker,
            limits=TextLimits(self.max_texts, self.max_text_bytes),
            max_answer_bytes=self.max_message_bytes * 15 // 16,  # the rest is for what goes along
            max_queued_items=self.max_queued_items,
            max_queued_tokens=self.max_queued_tokens,
            batch_tokens=self.batch_tokens,
            start_timeout_s=self.start_timeout_s,
            stuck_after_s=self.stuck_after_s,
        )
