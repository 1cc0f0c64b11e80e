"""What the core asks of an engine: to load models, to encode texts and to run batches of them.

All methods block and are called off the event loop: ``load_*`` and ``run`` in the model's thread,
``encode*`` in the tokenizer's, each by one thread at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
"""A row for each input: a vector, or a single score."""


class InputKind(StrEnum):
    """What a text is to the model."""

    QUERY = "query"
    PASSAGE = "passage"


class Pooling(StrEnum):
    """How the vectors of a text's tokens become one."""

    MEAN = "mean"
    CLS = "cls"
    LAST_TOKEN = "last_token"  # noqa: S105 - no password, a way of pooling
    MAX = "max"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text, or pair of texts, tokenized once: to be counted, sorted by length and run."""

    features: Mapping[str, Sequence[int]]
    """What the model reads, by the name of its input, unpadded."""
    tokens: int
    """Tokens of the whole input, special tokens included."""
    read: int
    """Tokens of it that the model reads."""
    group: str = ""
    """Inputs may share a batch only when this is equal."""

    @property
    def truncated(self) -> bool:
        """Whether the model reads only the beginning."""
        return self.read < self.tokens


class Runner(Protocol):
    """A model that runs batches."""

    def run(self, batch: Sequence[Encoded]) -> Rows:
        """The rows of a batch, in its order."""
        ...


@dataclass(frozen=True)
class EmbeddingModelInfo:
    """An embedding model and all that its vectors depend on."""

    name: str
    revision: str
    dimension: int
    max_input_tokens: int
    pooling: Pooling
    normalized: bool
    query_prompt: str
    passage_prompt: str
    compute_dtype: str


@dataclass(frozen=True)
class RerankerInfo:
    """A cross-encoder."""

    name: str
    revision: str
    max_input_tokens: int


class EmbeddingModel(Runner, Protocol):
    """A loaded embedding model."""

    @property
    def info(self) -> EmbeddingModelInfo:
        """What a collection records of it."""
        ...

    @property
    def tokenizer_json(self) -> bytes:
        """Its tokenizer as the ``tokenizers`` library reads it; counts exactly as ``encode``."""
        ...

    def encode(self, texts: Sequence[str], kind: InputKind) -> list[Encoded]:
        """Tokenize texts, with the prompt of their kind."""
        ...


class Reranker(Runner, Protocol):
    """A loaded cross-encoder; its rows are single scores, larger is better."""

    @property
    def info(self) -> RerankerInfo:
        """Which model it is."""
        ...

    def encode_pairs(self, query: str, passages: Sequence[str]) -> list[Encoded]:
        """Tokenize the pairs of the query with each passage."""
        ...


@dataclass(frozen=True)
class BackendOptions:
    """How models are loaded and run."""

    device: str = "auto"
    """A torch device, or ``auto``: a GPU when there is one."""
    dtype: Literal["auto", "bf16", "f32"] = "auto"
    """``auto``: bfloat16 where the processor computes in it."""
    threads: int = 0
    """Threads of one batch on a CPU; 0: half of the cores."""
    query_prompt: str | None = None
    """Instead of the model's own prompt for queries."""
    passage_prompt: str | None = None
    """Instead of the model's own prompt for passages."""


class Backend(Protocol):
    """An engine that loads models."""

    @property
    def version(self) -> str:
        """The engine's version."""
        ...

    @property
    def batch_tokens(self) -> int:
        """Tokens in a batch past which this device gains nothing; known once a model is loaded."""
        ...

    def load_embedding_model(self, model: str) -> EmbeddingModel:
        """Load a model by short name, directory or hub name."""
        ...

    def load_reranker(self, model: str) -> Reranker:
        """Load a cross-encoder by directory or hub name."""
        ...
