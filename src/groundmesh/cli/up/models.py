"""The models that packages carry: prepared before the services that need them are started."""

import subprocess
import sys
from collections.abc import Iterable

from groundmesh.cli.problems import Problem
from groundmesh.cli.up.mesh import MeshOptions
from groundmesh.errors import NotFound
from groundmesh.lifetime import tied
from groundmesh.models import DEFAULT_EMBEDDING_MODEL, DEFAULT_GENERATION_MODEL
from groundmesh.models.prepared import prepared_folder
from groundmesh.models.recipes import RECIPES


def unprepared(options: MeshOptions) -> tuple[str, ...]:
    """Those of the models that are used which must be prepared first; hashes what is there."""
    used = [options.embedding_model or DEFAULT_EMBEDDING_MODEL]
    if "generator" not in options.without:
        used.append(options.model or DEFAULT_GENERATION_MODEL)
    return tuple(name for name in used if name in RECIPES and not _is_prepared(name))


def prepare(names: Iterable[str]) -> None:
    """Prepare models, once and for all meshes of this user.

    Raises:
        Problem: it did not work; the message has the last words of what tried.
    """
    command = tied((sys.executable, "-m", "groundmesh.models", "prepare", *names))
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        last_words = "\n".join(f"  | {line}" for line in done.stdout.splitlines()[-8:])
        raise Problem(f"the models could not be prepared:\n{last_words}")


def _is_prepared(name: str) -> bool:
    try:
        prepared_folder(name)
    except NotFound:
        return False
    return True
