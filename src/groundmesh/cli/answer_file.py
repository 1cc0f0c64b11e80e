"""Where the answers of ``ask --file`` go: stdout, or a file that the next run goes on with."""

import json
import os
import shutil
import tempfile
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from groundmesh.cli.problems import Exit, Problem
from groundmesh.eval.lines import JsonLine, Line, json_line

FAILURE_FIELD = "error"
"""A line that has it holds no answer, and its question is asked again."""
_BEGIN = b'{"question":'


class AnswerWriter(Protocol):
    """Takes whole lines."""

    def write(self, index: int, content: Mapping[str, object]) -> None:
        """The answer to the question of that place in the file of questions."""
        ...


class StreamWriter:
    """Writes to a stream as the answers come."""

    def __init__(self, stream: BinaryIO) -> None:
        """``stream`` stays the caller's."""
        self._stream = stream

    def write(self, _index: int, content: Mapping[str, object]) -> None:
        """A line, at once."""
        self._stream.write(_encoded(content))
        self._stream.flush()


class AnswerFile:
    """A file of answers, in the order of the questions when it is closed.

    What a run that was killed left behind is taken up again: whole lines stay, half a line and
    failures go. A line is known by its question, the second of the same question as the second.
    """

    def __init__(self, path: Path, questions: Sequence[str]) -> None:
        """Raises InvalidArgument for a file that holds anything but answers to these questions."""
        self._path = path
        self._places: dict[int, tuple[int, int]] = {}  # index: where its line begins, and its size
        self._end = 0
        try:
            is_clean = self._read(questions)
            if not is_clean:
                self._rewrite()
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise _unusable(path, error) from error

    @property
    def answered(self) -> frozenset[int]:
        """The places of the questions whose answers are there."""
        return frozenset(self._places)

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it, its lines in order."""
        self._file.close()
        if list(self._places) != sorted(self._places):
            try:
                self._rewrite()
            except OSError as failed:
                raise _unusable(self._path, failed) from failed

    def write(self, index: int, content: Mapping[str, object]) -> None:
        """A line, in one write, so that a kill leaves no half of it behind."""
        line = _encoded(content)
        try:
            written = self._file.write(line)
            if written != len(line):
                os.ftruncate(self._file.fileno(), self._end)
                raise OSError(None, "the disk is full")
        except OSError as error:
            raise _unusable(self._path, error) from error
        self._take(index, len(line))

    def _read(self, questions: Sequence[str]) -> bool:
        """Find the answers that are there; whether there is nothing else."""
        if not self._path.exists():
            return True
        if not self._path.is_file():
            raise Problem(f"{self._path}: is no ordinary file", exit_code=Exit.USAGE)
        open_places: defaultdict[str, deque[int]] = defaultdict(deque)
        for index, question in enumerate(questions):
            open_places[question].append(index)
        is_clean = True
        with self._path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if not raw.endswith(b"\n") and raw[: len(_BEGIN)] == _BEGIN[: len(raw)]:
                    return False
                row = self._row(number, raw)
                place = open_places[row.text("question")]
                if not place:
                    raise row.wrong("answers a question that is not asked; name another --output")
                if FAILURE_FIELD in row.fields:
                    self._end += len(raw)
                    is_clean = False
                else:
                    self._take(place.popleft(), len(raw))
        return is_clean

    def _row(self, number: int, raw: bytes) -> JsonLine:
        try:
            return json_line(Line(self._path, number, raw.decode()))
        except UnicodeDecodeError:
            raise Line(self._path, number, "").wrong("is not UTF-8") from None

    def _take(self, index: int, size: int) -> None:
        self._places[index] = (self._end, size)
        self._end += size

    def _rewrite(self) -> None:
        """The answers alone, in order, in the place of the file: all of it or nothing."""
        places, self._places, self._end = sorted(self._places.items()), {}, 0
        with tempfile.NamedTemporaryFile(dir=self._path.parent, delete=False) as new:
            try:
                with self._path.open("rb") as old:
                    for index, (start, size) in places:
                        old.seek(start)
                        new.write(old.read(size))
                        self._take(index, size)
                shutil.copymode(self._path, new.name)
                Path(new.name).replace(self._path)
            except BaseException:
                Path(new.name).unlink(missing_ok=True)
                raise


def _encoded(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def _unusable(path: Path, error: OSError) -> Problem:
    return Problem(f"{path}: {error.strerror}", exit_code=Exit.USAGE)
