"""Tiny real programs that stand for services, and probes and reporters to go with them."""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundmesh.cli.up.backoff import BackoffPolicy
from groundmesh.cli.up.keeper import Keeper, KeeperPolicy, ServiceSpec
from groundmesh.cli.up.log import ServiceLog
from groundmesh.cli.up.probe import Health
from groundmesh.cli.up.status import Failure, Reporter, State, Status

FAST = KeeperPolicy(
    backoff=BackoffPolicy(first_s=0.02, max_s=0.08, healthy_s=30.0),
    poll_starting_s=0.01,
    poll_ready_s=0.02,
    silent_s=30.0,
    stop_grace_s=5.0,
)

READY_THEN_SLEEP = "open(ready, 'w').close(); time.sleep(600)"
DRAINS = (
    f"signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), sys.exit(0))); {READY_THEN_SLEEP}"
)
DIES = "print('the reason'); sys.exit(7)"
IGNORES_SIGTERM = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY_THEN_SLEEP}"
FORKS = (
    "child = subprocess.Popen([sys.executable, '-c',"
    " 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)']);"
    f" print('grandchild', child.pid, flush=True); {READY_THEN_SLEEP}"
)


def command(body: str, ready: Path) -> tuple[str, ...]:
    """A Python program of one line; ``ready`` is the file that it makes when it is ready."""
    prelude = f"import os, signal, subprocess, sys, time; ready = {str(ready)!r}; "
    return (sys.executable, "-c", prelude + body)


class FileProbe:
    """Ready while a file is there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def check(self) -> Health:
        return Health.READY if self._path.exists() else Health.SILENT

    async def close(self) -> None:
        self._path.unlink(missing_ok=True)


@dataclass
class Recorder:
    """Keeps what it is told."""

    states: list[tuple[str, State]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)

    def changed(self, status: Status, *, before: Status) -> None:
        if status.state is not before.state:
            self.states.append((status.name, status.state))

    def failed(self, failure: Failure) -> None:
        self.failures.append(failure)

    def was_killed(self, name: str, after_s: float) -> None:
        self.killed.append(name)


@dataclass
class Workshop:
    """Makes keepers in a folder."""

    folder: Path
    recorder: Recorder = field(default_factory=Recorder)
    reporter: Reporter | None = None
    """Told instead of the recorder."""

    def keeper(
        self,
        name: str,
        body: str,
        *,
        policy: KeeperPolicy = FAST,
        calls: Sequence[str] = (),
        probe: FileProbe | None = None,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Keeper:
        ready = self.folder / f"{name}.ready"
        spec = ServiceSpec(
            name,
            "127.0.0.1:0",
            command(body, ready),
            {**os.environ, **(env or {})},
            calls=tuple(calls),
        )
        return Keeper(
            spec,
            probe=probe or FileProbe(ready),
            log=ServiceLog(self.folder / f"{name}.log", on_line=on_line),
            reporter=self.reporter or self.recorder,
            policy=policy,
        )


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which nobody may ever reap here, does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def kill_9(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
