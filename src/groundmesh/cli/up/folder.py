"""What a mesh has to itself on this machine: its data folder and its ports."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from groundmesh.addresses import LOOPBACK
from groundmesh.cli.problems import Problem

LOCK_NAME = "up.lock"


def default_data_folder() -> Path:
    """``$XDG_DATA_HOME/groundmesh``, by default ``~/.local/share/groundmesh``."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "groundmesh"


@contextmanager
def held(folder: Path, *, ports: Mapping[str, int]) -> Iterator[None]:
    """Hold the folder for one mesh; the kernel frees it when this process ends, however it does.

    Raises:
        Problem: another mesh holds it, or it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / LOCK_NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise Problem(
            f"the data folder {folder} can't be used: {error.strerror}",
            hint="choose another with --data DIR",
        ) from error
    with file:
        _lock(file, folder)
        file.truncate(0)
        json.dump({"pid": os.getpid(), "ports": sorted(ports.values())}, file)
        file.flush()
        yield
        file.truncate(0)


def check_ports_free(ports: Mapping[str, int], *, host: str = LOOPBACK) -> None:
    """See that every service can listen.

    Raises:
        Problem: at least one port is taken; all of them are named.
    """
    taken = [f"port {port} ({name})" for name, port in ports.items() if not _is_free(host, port)]
    if taken:
        raise Problem(
            f"another program listens on {', '.join(taken)} of {host}",
            hint=f"choose {len(ports)} free ports in a row with --port BASE, or end that program",
        )


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as candidate:
        # As servers do: connections that are only fading away don't count.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
        except OSError:
            return False
    return True


def _lock(file: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Problem(
            f"a mesh already runs on {folder}{_holder(file)}",
            hint="use it as it is, stop it with Ctrl-C, or choose another folder with --data DIR",
        ) from None


def _holder(file: TextIO) -> str:
    """Who holds the lock, as far as the file tells: it is written just after it is locked."""
    file.seek(0)
    try:
        holder = json.loads(file.read())
        return f" (process {holder['pid']}, ports {holder['ports'][0]} to {holder['ports'][-1]})"
    except (ValueError, LookupError):
        return ""
