"""sentence-transformers: any embedding model or cross-encoder that it loads."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import Normalize, Router
from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule
from transformers.utils.logging import disable_progress_bar

from groundmesh.errors import FailedPrecondition
from groundmesh.models import ResolvedModel, resolve_model
from groundmesh_embedder.backends.base import (
    BackendOptions,
    EmbeddingModelInfo,
    Encoded,
    InputKind,
    Pooling,
    RerankerInfo,
    Rows,
)
from groundmesh_embedder.backends.tokenization import (
    Model,
    encode,
    limit_tokens,
    padded,
    tokenizer_json,
)

CPU_BATCH_TOKENS, GPU_BATCH_TOKENS = 2048, 65_536
"""A CPU gets slower past it, as activations leave its caches; a GPU needs much to be busy."""

BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""What processors that multiply bfloat16 natively say of themselves; others emulate it slowly."""

# The names that sentence-transformers gives a kind: as a task, and in a model's prompts.
TASKS = {InputKind.QUERY: "query", InputKind.PASSAGE: "document"}
PROMPTS = {InputKind.QUERY: ("query",), InputKind.PASSAGE: ("document", "passage", "corpus")}

POOLINGS = {
    "mean": Pooling.MEAN,
    "cls": Pooling.CLS,
    "lasttoken": Pooling.LAST_TOKEN,
    "max": Pooling.MAX,
}


class SentenceTransformersBackend:
    """Loads models onto one device, in one type of numbers."""

    def __init__(self, options: BackendOptions) -> None:
        self._options = options

    @property
    def version(self) -> str:
        """The version of sentence-transformers."""
        return version("sentence-transformers")

    @property
    def batch_tokens(self) -> int:
        """What suits the device."""
        return CPU_BATCH_TOKENS if self._device == "cpu" else GPU_BATCH_TOKENS

    def load_embedding_model(self, model: str) -> "SentenceTransformerModel":
        """Load a model with its pooling, normalization and prompts."""
        resolved = resolve_model(model)
        loaded = SentenceTransformer(resolved.path, **self._loading())
        return SentenceTransformerModel(resolved, loaded, self._options)

    def load_reranker(self, model: str) -> "CrossEncoderModel":
        """Load a cross-encoder, which must give one score a pair."""
        resolved = resolve_model(model)
        loaded = CrossEncoder(resolved.path, **self._loading())
        if loaded.num_labels != 1:
            raise FailedPrecondition(
                f"{resolved.name} gives {loaded.num_labels} scores a pair, not one"
            )
        return CrossEncoderModel(resolved, loaded)

    def _loading(self) -> dict[str, Any]:
        disable_progress_bar()  # a log is no terminal
        if self._device == "cpu":
            threads = self._options.threads or max(1, len(os.sched_getaffinity(0)) // 2)
            torch.set_num_threads(threads)
        return {
            "device": self._device,
            "local_files_only": True,  # resolve_model has fetched what has to be fetched
            "model_kwargs": {"dtype": self._dtype},
        }

    @cached_property
    def _device(self) -> str:
        if self._options.device != "auto":
            return self._options.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    @cached_property
    def _dtype(self) -> torch.dtype:
        native = {"f32": False, "bf16": True}.get(self._options.dtype)
        if native is None:
            native = _computes_bf16(self._device)
        return torch.bfloat16 if native else torch.float32


class SentenceTransformerModel:
    """A loaded embedding model."""

    def __init__(
        self, resolved: ResolvedModel, model: SentenceTransformer, options: BackendOptions
    ) -> None:
        self._model = model
        self._prompts = _prompts(model, options)
        self.info = _describe(resolved, model, self._prompts)
        self.tokenizer_json = tokenizer_json(model)
        pooling = _module(model, PoolingModule)
        # Such models treat the two kinds differently past the prompt, so no batch may mix them.
        self._by_kind = _module(model, Router) is not None or (
            pooling is not None and not pooling.include_prompt
        )
        _finish_in_f32(model)

    def encode(self, texts: Sequence[str], kind: InputKind) -> list[Encoded]:
        """Tokenize with the prompt of the kind."""
        group = kind if self._by_kind else ""
        return encode(self._model, texts, group=group, prompt=self._prompts[kind], task=TASKS[kind])

    def run(self, batch: Sequence[Encoded]) -> Rows:
        """The model's vectors."""
        kind = InputKind(batch[0].group or InputKind.PASSAGE)
        features = padded(self._model, batch)
        if self._by_kind:
            features["prompt_length"] = self._prompt_length[kind]
        with torch.inference_mode():
            vectors = self._model(features, task=TASKS[kind])["sentence_embedding"]
            return _rows(vectors[:, : self.info.dimension])

    @cached_property
    def _prompt_length(self) -> Mapping[InputKind, int | None]:
        """The tokens that pooling leaves out, as sentence-transformers itself counts them."""
        return {
            kind: self._model.preprocess(["x"], prompt=prompt).get("prompt_length")
            for kind, prompt in self._prompts.items()
        }


class CrossEncoderModel:
    """A loaded cross-encoder."""

    def __init__(self, resolved: ResolvedModel, model: CrossEncoder) -> None:
        self._model = model
        self.info = RerankerInfo(resolved.name, resolved.revision, limit_tokens(model))

    def encode_pairs(self, query: str, passages: Sequence[str]) -> list[Encoded]:
        """Tokenize the query together with each passage."""
        return encode(self._model, [(query, passage) for passage in passages])

    def run(self, batch: Sequence[Encoded]) -> Rows:
        """The model's scores, through its own activation."""
        with torch.inference_mode():
            scores = self._model(padded(self._model, batch))["scores"].float()
            return _rows(self._model.activation_fn(scores).squeeze(-1))


def _computes_bf16(device: str) -> bool:
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(flag) for flag in BF16_FLAGS)


def _prompts(model: SentenceTransformer, options: BackendOptions) -> dict[InputKind, str]:
    """What is set, else what the model has under a name of the kind, else none."""
    # Not left to encode_document: version 6.2 adds an empty "document" to every model, and stops
    # looking there when the model says "passage".
    own = {
        kind: next((model.prompts[name] for name in names if model.prompts.get(name)), "")
        for kind, names in PROMPTS.items()
    }
    chosen = {InputKind.QUERY: options.query_prompt, InputKind.PASSAGE: options.passage_prompt}
    return {kind: own[kind] if prompt is None else prompt for kind, prompt in chosen.items()}


def _describe(
    resolved: ResolvedModel, model: SentenceTransformer, prompts: Mapping[InputKind, str]
) -> EmbeddingModelInfo:
    pooling = _module(model, PoolingModule)
    mode = pooling.pooling_mode if pooling else None
    return EmbeddingModelInfo(
        name=resolved.name,
        revision=resolved.revision,
        dimension=model.get_embedding_dimension(),
        max_input_tokens=limit_tokens(model),
        pooling=POOLINGS.get(mode, Pooling.OTHER) if isinstance(mode, str) else Pooling.OTHER,
        normalized=_module(model, Normalize) is not None and model.truncate_dim is None,
        query_prompt=prompts[InputKind.QUERY],
        passage_prompt=prompts[InputKind.PASSAGE],
        compute_dtype=str(model.dtype).removeprefix("torch."),
    )


def _module(model: Model, kind: type) -> Any:
    return next((module for module in model.modules() if isinstance(module, kind)), None)


def _finish_in_f32(model: SentenceTransformer) -> None:
    """Pool and normalize in float32: in bfloat16 a "normalized" vector is off by half a percent."""
    first, *rest = model
    first.register_forward_hook(_upcast)
    for module in rest:
        module.float()


def _upcast(_module: object, _inputs: object, features: dict[str, Any]) -> dict[str, Any]:
    for name in ("token_embeddings", "sentence_embedding"):
        if name in features:
            features[name] = features[name].float()
    return features


def _rows(tensor: torch.Tensor) -> Rows:
    rows: Rows = tensor.float().cpu().numpy()
    return rows
