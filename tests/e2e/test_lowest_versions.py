"""The library works with the oldest versions that its pyproject.toml admits, stubs above all."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
IMPORT_EVERYTHING = """
import importlib, pkgutil, groundmesh
for module in pkgutil.walk_packages(groundmesh.__path__, "groundmesh."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
import grpc, google.protobuf
print(grpc.__version__, google.protobuf.__version__)
"""


def test_every_module_loads_with_the_lowest_dependencies(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    install = ["pip", "install", "--quiet", "--resolution", "lowest-direct", "--no-sources"]
    library = ["--refresh-package", "groundmesh", f"groundmesh[artifacts,eval] @ {ROOT.as_uri()}"]
    commands: tuple[list[str | Path], ...] = (
        [UV, "venv", "--quiet", "--python", sys.executable, tmp_path],
        [UV, *install, "--python", tmp_path, *library],
    )
    for command in commands:
        subprocess.run(command, check=True, cwd=tmp_path, timeout=300)
    done = subprocess.run(
        [python, "-c", IMPORT_EVERYTHING],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1.70.0", "5.29.1"]
