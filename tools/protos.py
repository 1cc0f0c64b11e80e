"""Generate the stubs of our protos, and check the protos and the stubs.

    python tools/protos.py generate    write src/groundmesh/v1
    python tools/protos.py check       stubs up to date, buf lint, nothing broken since the last tag

protoc is pinned in ``constraints/protoc.txt``, older than what we run with, so it lives in an
environment of its own that uv keeps in its cache. buf reads the descriptors that protoc makes,
since the google.rpc protos come from an installed package and not from a registry.
"""

import filecmp
import io
import subprocess
import sys
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
STUBS = ROOT / "src"
PACKAGE = Path("groundmesh/v1")
BIN = Path(sys.executable).parent


def google_protos() -> Path:
    """Where googleapis-common-protos has put its sources."""
    module = find_spec("google.rpc.status_pb2")
    if module is None or module.origin is None:
        sys.exit("protos: googleapis-common-protos is not installed; run `make setup`")
    return Path(module.origin).parents[2]


def protoc(protos: Path, *options: str) -> None:
    """Run the pinned protoc over every file of our package below ``protos``."""
    sources = sorted(str(path.relative_to(protos)) for path in protos.glob(f"{PACKAGE}/*.proto"))
    command = [str(BIN / "uv"), "run", "--quiet", "--isolated", "--no-project"]
    command += [
        "--with-requirements",
        "constraints/protoc.txt",
        "python",
        "-m",
        "grpc_tools.protoc",
    ]
    command += [f"-I{protos}", f"-I{google_protos()}", *options, *sources]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())


def generate(target: Path) -> None:
    """Write messages, services and their types for our protos below ``target``."""
    plugins = [
        f"--plugin={name}={BIN / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
    ]
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    protoc(PROTOS, *plugins, *outputs)


def generated(folder: Path) -> set[str]:
    """The names of the generated files in ``folder``."""
    return {path.name for path in folder.glob("*_pb2*.py*")}


def regenerate() -> None:
    """Replace the committed stubs, so that a removed proto leaves none behind."""
    for name in generated(STUBS / PACKAGE):
        (STUBS / PACKAGE / name).unlink()
    generate(STUBS)


def stale_stubs() -> list[str]:
    """The committed stubs that differ from what the protos make, missing and left over ones too."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, committed = Path(folder) / PACKAGE, STUBS / PACKAGE
        names = generated(fresh) | generated(committed)
        _, different, missing = filecmp.cmpfiles(fresh, committed, sorted(names), shallow=False)
    return different + missing


def describe(protos: Path, image: Path) -> Path:
    """Compile ``protos`` to the self-contained descriptors that buf reads."""
    protoc(protos, "--include_imports", "--include_source_info", f"--descriptor_set_out={image}")
    return image


def buf(*arguments: str | Path) -> bool:
    """Run buf on our package alone; its findings go to the terminal."""
    command = [BIN / "buf", *arguments, "--path", PACKAGE]
    return subprocess.run(command, check=False, cwd=ROOT).returncode == 0


def last_release() -> str | None:
    """The newest release tag that this commit descends from."""
    command = ["git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or None


def breaks_nothing(image: Path, workspace: Path) -> bool:
    """Compare with the protos of the last release, if there has been one."""
    tag = last_release()
    if tag is None:
        print("protos: no release tag yet, so there is nothing to break")
        return True
    command = ["git", "archive", tag, "protos"]
    archive = subprocess.run(command, check=True, cwd=ROOT, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(workspace, filter="data")
    released = describe(workspace / "protos", workspace / "released.binpb")
    return buf("breaking", image, "--against", released)


def check() -> bool:
    """Whether stubs, style and compatibility are all as they should be; says what is not."""
    stale = stale_stubs()
    if stale:
        print(f"protos: run `make proto`, these stubs are stale: {', '.join(sorted(stale))}")
    with tempfile.TemporaryDirectory() as folder:
        image = describe(PROTOS, Path(folder) / "current.binpb")
        clean = buf("lint", image)
        compatible = breaks_nothing(image, Path(folder))
    return not stale and clean and compatible


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["generate"]:
            regenerate()
        case ["check"]:
            sys.exit(0 if check() else 1)
        case _:
            sys.exit(__doc__)
