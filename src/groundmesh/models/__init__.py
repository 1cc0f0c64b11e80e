"""Where models are: two that packages carry, any folder, anything on the Hugging Face hub.

``python -m groundmesh.models prepare`` turns what the packages carry into plain model folders in
the cache, once. Only that needs torch and transformers; ``resolve_model`` needs neither.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from groundmesh.errors import NotFound, Reason
from groundmesh.models.prepared import files_of, prepared_folder
from groundmesh.models.recipes import RECIPES

__all__ = [
    "DEFAULT_EMBEDDING_MODEL",
    "DEFAULT_GENERATION_MODEL",
    "ResolvedModel",
    "fingerprint",
    "resolve_model",
]

DEFAULT_EMBEDDING_MODEL = "all-MiniLM-L6-v2"
"""The embedder's model where nothing else is set."""

DEFAULT_GENERATION_MODEL = "SmolLM2-135M-Instruct"
"""The generator's model where nothing else is set."""

_HUB_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]+)(@(?P<revision>[\w./-]+))?")
# Weights in the formats of other engines; those that we load are safetensors or torch's own.
_OTHER_FORMATS = ["*.gguf", "*.h5", "*.msgpack", "*.onnx", "*.ot", "openvino/*"]
_SAMPLES, _SAMPLE_BYTES = 256, 64 * 1024


@dataclass(frozen=True)
class ResolvedModel:
    """A model that can be loaded: ``path`` is a folder, ``revision`` tells its content."""

    name: str
    path: str
    revision: str


def resolve_model(name: str) -> ResolvedModel:
    """Find a model by short name, folder, or hub name (``owner/model`` or ``owner/model@rev``).

    Blocks: it hashes files, and for a hub name that is not in the hub's cache it downloads.
    """
    if name in RECIPES:
        return ResolvedModel(name, str(prepared_folder(name)), RECIPES[name].revision)
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        folder = folder.resolve()
        return ResolvedModel(folder.name, str(folder), fingerprint(folder))
    if match := _HUB_NAME.fullmatch(name):
        return _from_hub(match["repo"], match["revision"])
    raise NotFound(
        f"model {name!r} is neither a folder nor a hub name nor one of {', '.join(RECIPES)}",
        reason=Reason.MODEL_NOT_FOUND,
    )


def fingerprint(folder: Path) -> str:
    """Identify a model folder by content, in seconds whatever its size.

    Files of up to 16 MiB are read whole; of larger ones the size and 256 blocks spread evenly,
    which differ between any two trainings.
    """
    digest = sha256()
    for path in files_of(folder):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder)}\0{size}\0".encode())
        step = max(size // _SAMPLES, _SAMPLE_BYTES)
        with path.open("rb") as file:
            for offset in range(0, size, step):
                file.seek(offset)
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _from_hub(repo: str, revision: str | None) -> ResolvedModel:
    from huggingface_hub import snapshot_download

    try:
        path = snapshot_download(repo, revision=revision, ignore_patterns=_OTHER_FORMATS)
    except (OSError, ValueError) as error:  # all of the hub's errors are one of the two
        raise NotFound(
            f"model {repo!r} can't be had from the hub: {error}", reason=Reason.MODEL_NOT_FOUND
        ) from error
    return ResolvedModel(repo, path, Path(path).name)  # the hub names its folders by commit
