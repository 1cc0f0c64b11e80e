"""The log file of one service: bounded on disk, its last lines at hand."""

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path

MAX_FILE_BYTES = 8 * 1024 * 1024
"""A log that has grown to this moves to ``<name>.log.1``, in the place of the one before."""

TAIL_LINES = 40
MAX_LINE_BYTES = 4096

ACCESS_RECORD = '"logger": "groundmesh.access"'
"""A call that was answered tells neither how far a start is nor why a service died."""


class ServiceLog:
    """What one service prints: appended to a bounded file, the last lines kept in memory."""

    def __init__(
        self,
        path: Path,
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """Open the file and append to it; ``on_line`` sees every whole line as it comes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._max_file_bytes = max_file_bytes
        self._on_line = on_line
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._partial = b""

    def write(self, chunk: bytes) -> None:
        """Append what a service printed; a line may come in several chunks."""
        self._append(chunk)
        *lines, rest = (self._partial + chunk).split(b"\n")
        self._partial = rest[:MAX_LINE_BYTES]
        for line in lines:
            self._keep(line)

    def tail(self, count: int) -> tuple[str, ...]:
        """The last lines, without those of the access log, of the newest run; the newest last."""
        lines = [*self._tail, *([_decoded(self._partial)] if self._partial.strip() else [])]
        return tuple(lines[-count:])

    def forget_tail(self) -> None:
        """Begin a new run: the lines of the one before explain nothing about it."""
        self._tail.clear()
        self._partial = b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _keep(self, line: bytes) -> None:
        text = _decoded(line[:MAX_LINE_BYTES])
        if not text.strip():
            return
        if ACCESS_RECORD not in text:
            self._tail.append(text)
        if self._on_line is not None:
            self._on_line(text)

    def _append(self, chunk: bytes) -> None:
        try:
            if self._size and self._size + len(chunk) > self._max_file_bytes:
                self._begin_file()
            self._size += self._file.write(chunk)
        except OSError:
            return  # a full disk costs log lines, and not the service that prints them

    def _begin_file(self) -> None:
        self.path.replace(self.path.with_name(self.path.name + ".1"))
        self._file.close()
        self._file = self.path.open("ab", buffering=0)
        self._size = 0


def readable(line: str) -> str:
    """One log line for a person: the message of a JSON record, any other line as it is."""
    try:
        record = json.loads(line)
    except ValueError:
        return line.strip()
    if not isinstance(record, dict) or "message" not in record:
        return line.strip()
    exception = str(record.get("exception", "")).rpartition("\n")[2]
    return f"{record['message']} ({exception})" if exception else str(record["message"])


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")
