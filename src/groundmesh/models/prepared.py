"""The cache of prepared models: whole or absent, and every file checked by its hash."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path

from groundmesh.errors import DataLoss, NotFound, Reason
from groundmesh.models.recipes import RECIPES, Recipe

_MANIFEST = "groundmesh.json"


def prepared_folder(name: str) -> Path:
    """The folder of a prepared model of ``RECIPES``, after a check of every file."""
    folder = _folder(name)
    if damage := _damage(folder, RECIPES[name]):
        raise NotFound(
            f"model {name} in {folder} {damage}: run `python -m groundmesh.models prepare`",
            reason=Reason.MODEL_NOT_FOUND,
        )
    return folder


def prepare_model(name: str) -> Path:
    """Build a model of ``RECIPES`` in the cache unless it is there and whole.

    Safe when several processes do it at once: one builds, the others wait and take its result.
    """
    recipe, folder = RECIPES[name], _folder(name)
    with _locked(folder):
        if _damage(folder, recipe) is not None:
            _build(recipe, folder)
    return folder


def files_of(folder: Path) -> list[Path]:
    """The files of a model, in a fixed order, without our own manifest."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != _MANIFEST)
    return sorted(found)


def _folder(name: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    cache = os.environ.get("GROUNDMESH_CACHE") or f"{base}/groundmesh"
    return Path(cache).expanduser().absolute() / "models" / name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _damage(folder: Path, recipe: Recipe) -> str | None:
    """What keeps a prepared folder from being used, if anything does."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"].items()
        wrong = [name for name, expected in files if _sha256(folder / name) != expected]
    except FileNotFoundError:
        return "is not prepared"
    except (ValueError, KeyError):
        return "has a damaged manifest"
    if manifest.get("source") != recipe.sha256:
        return "was made from other weights"
    return f"is damaged ({', '.join(wrong)})" if wrong else None


def _build(recipe: Recipe, folder: Path) -> None:
    weights = recipe.source()
    if _sha256(weights) != recipe.sha256:
        raise DataLoss(f"{weights} is not the file that was published: its sha256 differs")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        built = Path(scratch) / folder.name
        built.mkdir()
        recipe.build(weights, built)
        _write_manifest(built, recipe)
        if folder.exists():
            shutil.rmtree(folder)
        built.rename(folder)


def _write_manifest(folder: Path, recipe: Recipe) -> None:
    files = {str(path.relative_to(folder)): _sha256(path) for path in files_of(folder)}
    text = json.dumps({"source": recipe.sha256, "files": files}, indent=2)
    (folder / _MANIFEST).write_text(text, encoding="utf-8")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock that the kernel lets go when the process ends, however it ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
