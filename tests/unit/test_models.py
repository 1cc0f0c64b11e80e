"""Models are found by name, folder or hub name; prepared ones are whole or not there."""

import dataclasses
import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from groundmesh.errors import DataLoss, FailedPrecondition, NotFound, Reason
from groundmesh.models import fingerprint, recipes, resolve_model
from groundmesh.models.__main__ import main
from groundmesh.models.prepared import prepare_model

WEIGHTS = b"weights"


class FakeRecipe:
    """A recipe for a package of one file that counts how often it was built."""

    def __init__(self, package: str, sha256: str) -> None:
        self.built = 0
        self.recipe = recipes.Recipe(
            package=package, weights="weights.bin", sha256=sha256, build=self._build
        )

    def _build(self, weights: Path, target: Path) -> None:
        self.built += 1
        (target / "model.bin").write_bytes(weights.read_bytes())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUNDMESH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def tiny(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRecipe:
    """The recipe of a model ``tiny``, carried by a package that is importable."""
    package = tmp_path / "packages" / "tiny_carrier"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "weights.bin").write_bytes(WEIGHTS)
    monkeypatch.syspath_prepend(package.parent)
    fake = FakeRecipe("tiny_carrier", hashlib.sha256(WEIGHTS).hexdigest())
    monkeypatch.setitem(recipes.RECIPES, "tiny", fake.recipe)
    return fake


def test_a_model_is_built_once_and_then_found(tiny: FakeRecipe, cache: Path) -> None:
    assert prepare_model("tiny") == prepare_model("tiny") == cache / "tiny"
    model = resolve_model("tiny")
    assert (model.name, model.path) == ("tiny", str(cache / "tiny"))
    assert tiny.recipe.sha256.startswith(model.revision)
    assert tiny.built == 1


def test_preparing_twice_at_once_builds_once(tiny: FakeRecipe) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(prepare_model, ["tiny"] * 4))
    assert len(folders) == tiny.built == 1


def test_an_unprepared_model_says_what_to_run(tiny: FakeRecipe) -> None:
    with pytest.raises(NotFound, match=r"groundmesh\.models prepare") as caught:
        resolve_model("tiny")
    assert caught.value.reason is Reason.MODEL_NOT_FOUND


@pytest.mark.parametrize("file", ["model.bin", "groundmesh.json"])
def test_a_damaged_model_is_refused_and_built_again(
    tiny: FakeRecipe, cache: Path, file: str
) -> None:
    prepare_model("tiny")
    (cache / "tiny" / file).write_text("damaged")
    with pytest.raises(NotFound, match="damaged"):
        resolve_model("tiny")
    prepare_model("tiny")
    assert resolve_model("tiny").name == "tiny"
    assert tiny.built == 2


def test_a_failed_build_leaves_nothing_behind(
    tiny: FakeRecipe, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(weights: Path, target: Path) -> None:
        (target / "half").touch()
        raise OSError("disk full")

    monkeypatch.setitem(recipes.RECIPES, "tiny", dataclasses.replace(tiny.recipe, build=fail))
    with pytest.raises(OSError, match="disk full"):
        prepare_model("tiny")
    assert [path.name for path in cache.iterdir()] == [".tiny.lock"]


def test_other_weights_than_published_are_refused(tiny: FakeRecipe, tmp_path: Path) -> None:
    (tmp_path / "packages" / "tiny_carrier" / "weights.bin").write_bytes(b"other")
    with pytest.raises(DataLoss, match="sha256"):
        prepare_model("tiny")


def test_a_missing_package_is_named() -> None:
    recipe = recipes.Recipe("not_there", "weights.bin", "", lambda *_: None)
    with pytest.raises(FailedPrecondition, match="not_there"):
        recipe.source()


def test_a_folder_is_a_model_whose_revision_is_its_content(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(20 * 2**20))
    before = resolve_model(str(tmp_path))
    assert (before.name, before.path) == (tmp_path.name, str(tmp_path))
    assert resolve_model(str(tmp_path)) == before
    (tmp_path / "config.json").write_text("[]")
    assert fingerprint(tmp_path) != before.revision


def test_a_hub_name_is_a_snapshot_named_by_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(repo: str, *, revision: str | None, ignore_patterns: list[str]) -> str:
        assert (repo, revision) == ("owner/model", "v1")
        return "/cache/snapshots/0123abc"

    hub = SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    model = resolve_model("owner/model@v1")
    assert (model.name, model.revision) == ("owner/model", "0123abc")


def test_a_hub_that_is_away_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(repo: str, **_: object) -> str:
        raise ConnectionError("no route")

    hub = SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(NotFound, match="no route"):
        resolve_model("owner/model")


@pytest.mark.parametrize("name", ["", "nothing-of-this-name", "/no/such/folder", "a/b/c"])
def test_what_is_no_model_is_not_found(name: str) -> None:
    with pytest.raises(NotFound, match="neither a folder nor a hub name"):
        resolve_model(name)


def test_the_command_refuses_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prepare", "nothing"])
    assert "nothing" in capsys.readouterr().err


def test_resolving_imports_no_heavy_library() -> None:
    code = "import sys, groundmesh.models as m; m.resolve_model; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert not {"torch", "transformers", "grpc", "google"} & set(loaded.stdout.split())
