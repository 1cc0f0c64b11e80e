"""The demo: start the mesh, ingest documentation that this machine has, ask three questions.

Everything goes through the ``groundmesh`` command, as a person would type it. The documents are
the language reference that CPython carries, the long descriptions of the installed packages and
the project's own docs. Data stays in ``.demo/``: a second run finds them indexed.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from pydoc_data.topics import topics

from groundmesh.lifetime import tied

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".demo"
BASE_PORT = 50150  # beside the default one, so that a mesh that is up already stays out of it
GROUNDMESH = str(Path(sys.executable).parent / "groundmesh")
ENVIRONMENT = {**os.environ, "GROUNDMESH_SERVER": f"127.0.0.1:{BASE_PORT}"}
START_LIMIT_S = 600
STOP_LIMIT_S = 60
COLLECTION = "demo"
QUESTIONS = (
    "What does the continue statement do in Python?",
    "What is Ray?",
    "Which service of Groundmesh keeps no state?",
)
# The default model is tiny: with few passages it answers, with many it copies.
ASK = ("--collection", COLLECTION, "--limit", "3", "--max-tokens", "64")


def say(text: str) -> None:
    """Print a headline of ours."""
    print(f"\n==> {text}", flush=True)


def write_documents(folder: Path) -> Path:
    """Lay out the documents as files, the same names and bytes on every run."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in topics.items():
        write(folder / "python" / f"{name}.txt", text)
    for distribution in distributions():
        about = distribution.metadata.json
        description = str(about.get("description", "")).strip()
        markdown = "markdown" in about.get("description_content_type", "")
        if description not in {"", "UNKNOWN"} and not distribution.name.startswith("groundmesh"):
            write(
                folder / "packages" / f"{distribution.name}.{'md' if markdown else 'txt'}",
                description,
            )
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        write(folder / "groundmesh" / path.relative_to(ROOT), path.read_text(encoding="utf-8"))
    return folder


def write(path: Path, text: str) -> None:
    """Write one document, and the folders that lead to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def groundmesh(*arguments: str | Path) -> None:
    """Show a command, run it in the foreground, and stop the demo when it fails."""
    shown = [f'"{part}"' if " " in str(part) else str(part) for part in arguments]
    print(f"\n$ groundmesh {' '.join(shown)}", flush=True)
    done = subprocess.run([GROUNDMESH, *arguments], check=False, cwd=ROOT, env=ENVIRONMENT)
    if done.returncode != 0:
        sys.exit(
            f"demo: that failed with exit code {done.returncode}; logs are in {DATA}/mesh/logs"
        )


@contextmanager
def mesh() -> Iterator[None]:
    """``groundmesh up`` in the background for the length of a block, showing how it starts."""
    print(f"$ groundmesh up --data .demo/mesh --port {BASE_PORT} &", flush=True)
    command = [GROUNDMESH, "up", "--data", str(DATA / "mesh"), "--port", str(BASE_PORT)]
    up = subprocess.Popen(
        tied(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    quiet = threading.Event()
    threading.Thread(target=relay, args=(up, quiet), daemon=True).start()
    try:
        wait_until_ready(up)
        quiet.set()
        yield
    finally:
        stop(up)


def relay(up: "subprocess.Popen[str]", quiet: threading.Event) -> None:
    """Pass on what ``up`` says until told to be quiet; keep its pipe empty in any case."""
    for line in up.stdout or ():
        if not quiet.is_set():
            print(f"  {line}", end="", flush=True)


def wait_until_ready(up: "subprocess.Popen[str]") -> None:
    """Ask ``groundmesh status`` until it says that all is ready."""
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        if up.poll() is not None:
            sys.exit("demo: the mesh did not start; see above")
        status = [GROUNDMESH, "status"]
        if (
            subprocess.run(status, check=False, env=ENVIRONMENT, capture_output=True).returncode
            == 0
        ):
            return
        time.sleep(2)
    sys.exit(f"demo: the mesh was not ready after {START_LIMIT_S} s; logs are in {DATA}/mesh/logs")


def stop(up: "subprocess.Popen[str]") -> None:
    """End the mesh as Ctrl-C would."""
    if up.poll() is None:
        up.send_signal(signal.SIGINT)
    try:
        up.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        up.kill()


class Laps:
    """What each part of the demo took."""

    def __init__(self) -> None:
        """The first part begins now."""
        self._began = self._since = time.monotonic()
        self._took: list[str] = []

    def done(self, part: str) -> None:
        """A part is over, the next one begins."""
        now = time.monotonic()
        self._took.append(f"{now - self._since:.0f} s {part}")
        self._since = now

    def __str__(self) -> str:
        """The whole, and its parts."""
        return f"{self._since - self._began:.0f} s: {', '.join(self._took)}"


def main() -> None:
    """Run the demo and say how long each part took."""
    laps = Laps()
    say("starting the mesh: five services and a store, each a process of its own")
    with mesh():
        laps.done("to start")
        groundmesh("status")
        say("ingesting Python's reference, package descriptions, our docs; known ones are skipped")
        write_documents(DATA / "documents")
        groundmesh("ingest", (DATA / "documents").relative_to(ROOT), "--collection", COLLECTION)
        laps.done("to ingest")
        say("asking")
        for question in QUESTIONS:
            groundmesh("ask", question, *ASK)
        laps.done("to ask")
    laps.done("to stop")
    say(f"done in {laps}")
    print("SmolLM2 is there to show the machinery; `groundmesh up --model` takes larger ones.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
