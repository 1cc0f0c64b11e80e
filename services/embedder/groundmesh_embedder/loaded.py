"""The models of a running embedder."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from groundmesh.errors import NotFound, Reason
from groundmesh_embedder.backends.base import (
    Backend,
    EmbeddingModel,
    EmbeddingModelInfo,
    Reranker,
)
from groundmesh_embedder.scheduler import Scheduler
from groundmesh_embedder.texts import TextLimits


@dataclass(frozen=True)
class Tokenizer:
    """A model's tokenizer, for those who count without the model."""

    model: EmbeddingModelInfo
    json: bytes
    sha256: str


@dataclass(frozen=True)
class Embedding:
    """An embedding model with what goes with it."""

    model: EmbeddingModel
    tokenizer: Tokenizer
    limits: TextLimits


@dataclass(frozen=True)
class Loaded:
    """All that a running embedder serves, and what runs it."""

    backend: Backend
    embeddings: Mapping[str, Embedding]
    """By name, the default one first."""
    reranker: Reranker | None
    scheduler: Scheduler
    limits: TextLimits

    def embedding(self, name: str) -> Embedding:
        """The model of that name, the default one for an empty name."""
        found = self.embeddings.get(name or next(iter(self.embeddings)))
        if found is None:
            raise not_served(name, *self.embeddings)
        return found


def load_embedding(
    backend: Backend, name: str, *, limits: TextLimits, max_answer_bytes: int
) -> Embedding:
    """Load a model; fewer texts are taken at once where their vectors would not fit an answer."""
    model = backend.load_embedding_model(name)
    most = max(1, max_answer_bytes // (4 * model.info.dimension))
    return Embedding(
        model, _tokenizer_of(model), replace(limits, max_texts=min(limits.max_texts, most))
    )


def not_served(name: str, *served: str) -> NotFound:
    """The error for a model that is none of those served."""
    those = ", ".join(map(repr, served))
    return NotFound(
        f"model {name!r} is not served here; {those} {'is' if len(served) == 1 else 'are'}",
        reason=Reason.MODEL_NOT_FOUND,
    )


def _tokenizer_of(model: EmbeddingModel) -> Tokenizer:
    content = model.tokenizer_json
    return Tokenizer(model.info, content, hashlib.sha256(content).hexdigest())
