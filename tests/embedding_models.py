"""Real models for tests of the embedder: the default one, and what is made of its weights."""

import json
import shutil
from pathlib import Path

from groundmesh.models import DEFAULT_EMBEDDING_MODEL
from groundmesh.models.prepared import prepare_model


def minilm() -> Path:
    """The default embedding model, prepared when it is not yet."""
    return prepare_model(DEFAULT_EMBEDDING_MODEL)


def minilm_with_prompts(folder: Path, *, pool_prompt: bool) -> Path:
    """MiniLM, told to put prompts before its texts, and to pool their tokens or not."""
    shutil.copytree(minilm(), folder)
    prompts = {"query": "question: ", "passage": "a passage of some document: "}
    _update(folder / "config_sentence_transformers.json", {"prompts": prompts})
    _update(folder / "1_Pooling" / "config.json", {"include_prompt": pool_prompt})
    return folder


def cross_encoder(folder: Path) -> Path:
    """A cross-encoder of MiniLM's weights with a head of random ones, always the same."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(7)
    model = CrossEncoder(str(minilm()), num_labels=1, device="cpu", local_files_only=True)
    model.save_pretrained(str(folder))
    return folder


def _update(path: Path, values: dict[str, object]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
