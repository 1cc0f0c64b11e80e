"""Tokens for the models of sentence-transformers: made once, then counted, sorted and padded."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from sentence_transformers import CrossEncoder, SentenceTransformer
from tokenizers import Tokenizer

from groundmesh.errors import FailedPrecondition
from groundmesh_embedder.backends.base import Encoded

Model: TypeAlias = SentenceTransformer | CrossEncoder

NO_LIMIT = 1_000_000
"""Tokenizers say a number beyond this where nobody has set one."""

UNPADDED = {"padding": False, "verbose": False}
"""``verbose`` would warn of long texts, which is the caller's business here."""


def encode(
    model: Model, inputs: Sequence[Any], *, group: str = "", **options: Any
) -> list[Encoded]:
    """Tokenize texts or pairs whole, to count them, and those that are too long once more, cut.

    ``options`` are those of the model's own ``preprocess``: prompt and task.
    """
    whole = _preprocess(model, inputs, truncation=False, **options)
    counts = [len(features["input_ids"]) for features in whole]
    long = [index for index, count in enumerate(counts) if count > model.max_seq_length]
    if long:
        cut = _preprocess(model, [inputs[index] for index in long], **options)
        for index, features in zip(long, cut, strict=True):
            whole[index] = features
    return [
        Encoded(features, tokens=count, read=len(features["input_ids"]), group=group)
        for features, count in zip(whole, counts, strict=True)
    ]


def _preprocess(
    model: Model, inputs: Sequence[Any], *, truncation: bool | str = "longest_first", **options: Any
) -> list[dict[str, list[int]]]:
    asked = {"text": {**UNPADDED, "truncation": truncation}, "common": {"return_tensors": None}}
    output = model.preprocess(list(inputs), processing_kwargs=asked, **options)
    names = [name for name in model.tokenizer.model_input_names if name in output]
    rows = zip(*(output[name] for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def padded(model: Model, batch: Sequence[Encoded]) -> dict[str, Any]:
    """The features of a batch as the model's ``forward`` takes them."""
    names = batch[0].features
    lists = {name: [encoded.features[name] for encoded in batch] for name in names}
    features = model.tokenizer.pad(lists, return_tensors="pt", verbose=False)
    tensors = {name: tensor.to(model.device) for name, tensor in features.items()}
    return {**tensors, "modality": "text"}


def limit_tokens(model: Model) -> int:
    """How many tokens the model reads; from here on it also cuts there."""
    positions = getattr(model.config, "max_position_embeddings", None)
    known = [n for n in (model.max_seq_length, positions) if n and n < NO_LIMIT]
    if not known:
        raise FailedPrecondition("the model does not say how many tokens it reads")
    limit: int = min(known)
    model.max_seq_length = limit
    return limit


def tokenizer_json(model: Model) -> bytes:
    """The tokenizer as a file of the ``tokenizers`` library, which counts as ``encode`` does.

    Without the truncation and padding that published files carry: those count falsely.
    """
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise FailedPrecondition("the model has no fast tokenizer (tokenizer.json)")
    tokenizer = Tokenizer.from_str(backend.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer.to_str().encode()
