"""A fake embedding engine: no model, yet texts that share words are near each other."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from groundmesh_embedder.backends.base import (
    EmbeddingModelInfo,
    Encoded,
    InputKind,
    Pooling,
    RerankerInfo,
    Rows,
)

SPECIAL_TOKENS = 2
POISON = "poison"
"""A batch with this word fails."""


def _word_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


def _encoded(words: Sequence[str], most: int) -> Encoded:
    tokens = len(words) + SPECIAL_TOKENS
    kept = words[: most - SPECIAL_TOKENS]
    hashes = [crc32(word.lower().strip(".,;:!?()\"'").encode()) for word in kept]
    return Encoded({"hashes": hashes}, tokens=tokens, read=min(tokens, most))


class FakeEmbeddingBackend:
    """Makes both models; ``hold`` stops every batch, ``delay_s`` slows it, ``batches`` keeps it."""

    version = "1"

    def __init__(
        self,
        *,
        dimension: int = 64,
        max_input_tokens: int = 32,
        batch_tokens: int = 256,
        delay_s: float = 0.0,
    ) -> None:
        self.dimension = dimension
        self.max_input_tokens = max_input_tokens
        self.batch_tokens = batch_tokens
        self.delay_s = delay_s
        self.batches: deque[list[Encoded]] = deque(maxlen=256)
        self._open = threading.Event()
        self._open.set()

    def hold(self) -> None:
        """Let no batch end until ``release``."""
        self._open.clear()

    def release(self) -> None:
        """Let the batches go on."""
        self._open.set()

    def load_embedding_model(self, model: str) -> "FakeEmbeddingModel":
        return FakeEmbeddingModel(self, model)

    def load_reranker(self, model: str) -> "FakeReranker":
        return FakeReranker(self, model)

    def ran(self, batch: Sequence[Encoded]) -> None:
        self.batches.append(list(batch))
        assert self._open.wait(30), "nobody released the fake"
        if self.delay_s:
            time.sleep(self.delay_s)
        if any(crc32(POISON.encode()) in encoded.features["hashes"] for encoded in batch):
            raise RuntimeError("the fake was poisoned")


class FakeEmbeddingModel:
    """Counts hashed words; vectors have length 1."""

    def __init__(self, backend: FakeEmbeddingBackend, name: str) -> None:
        self._backend = backend
        self._tokenizer = _word_tokenizer()
        self.tokenizer_json = self._tokenizer.to_str().encode()
        self.info = EmbeddingModelInfo(
            name=name,
            revision="fake-1",
            dimension=backend.dimension,
            max_input_tokens=backend.max_input_tokens,
            pooling=Pooling.MEAN,
            normalized=True,
            query_prompt="",
            passage_prompt="",
            compute_dtype="float32",
        )

    def encode(self, texts: Sequence[str], kind: InputKind) -> list[Encoded]:
        splits = [self._tokenizer.pre_tokenizer.pre_tokenize_str(text) for text in texts]
        most = self._backend.max_input_tokens
        return [_encoded([word for word, _ in split], most) for split in splits]

    def run(self, batch: Sequence[Encoded]) -> Rows:
        self._backend.ran(batch)
        rows = np.full((len(batch), self._backend.dimension), 1e-3, dtype=np.float32)
        for row, encoded in zip(rows, batch, strict=True):
            np.add.at(row, [h % self._backend.dimension for h in encoded.features["hashes"]], 1.0)
        vectors: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return vectors


class FakeReranker:
    """Scores a passage by the share of the query's words that it has."""

    def __init__(self, backend: FakeEmbeddingBackend, name: str) -> None:
        self._backend = backend
        self.info = RerankerInfo(name, "fake-1", 2 * backend.max_input_tokens)

    def encode_pairs(self, query: str, passages: Sequence[str]) -> list[Encoded]:
        asked = set(query.lower().split())
        return [self._pair(asked, passage) for passage in passages]

    def run(self, batch: Sequence[Encoded]) -> Rows:
        self._backend.ran(batch)
        return np.array([encoded.features["shared"][0] / 1000 for encoded in batch], np.float32)

    def _pair(self, asked: set[str], passage: str) -> Encoded:
        words = passage.split()
        shared = len(asked & {word.lower() for word in words}) / max(len(asked), 1)
        plain = _encoded(words, self.info.max_input_tokens - len(asked))
        return Encoded(
            {**plain.features, "shared": [round(1000 * shared)]},
            tokens=plain.tokens + len(asked),
            read=plain.read + len(asked),
        )
