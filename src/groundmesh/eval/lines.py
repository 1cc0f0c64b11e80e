"""Lines of a file that remember where they stand, so that a bad one can be named."""

import codecs
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from groundmesh.errors import InvalidArgument


@dataclass(frozen=True)
class Line:
    """One line."""

    path: Path | str
    """Of its file; a text for what is no file."""
    number: int
    """From 1."""
    content: str

    def wrong(self, what: str) -> InvalidArgument:
        """What to raise when there is something wrong with it."""
        return InvalidArgument(f"{self.path}, line {self.number}: {what}")


@dataclass(frozen=True)
class JsonLine:
    """One line that holds a JSON object."""

    line: Line
    fields: Mapping[str, object]

    def wrong(self, what: str) -> InvalidArgument:
        """What to raise when there is something wrong with it."""
        return self.line.wrong(what)

    def id(self) -> str:
        """What is known by: BEIR's ``_id``, which some write as a number."""
        value = self.fields.get("_id")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        found = self.text("_id")
        if not found:
            raise self.wrong('"_id" is empty')
        return found

    def text(self, name: str, *, required: bool = True) -> str:
        """A field that is a text; one that is not required may be absent or null."""
        value = self.fields.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str):
            raise self.wrong(f'"{name}" must be a text' if value is not None else f'no "{name}"')
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise self.wrong(f'"{name}" holds half a character (an unpaired surrogate)')
        return value


def numbered_lines(file: Iterable[bytes], path: Path | str) -> Iterator[Line]:
    """Every line of an open file. Only a line feed ends one: texts hold the others."""
    for number, raw in enumerate(file, start=1):
        data = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
        try:
            content = data.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Line(path, number, "").wrong("is not UTF-8") from None
        yield Line(path, number, content)


def lines(path: Path) -> Iterator[Line]:
    """The lines of a file that are not blank."""
    with path.open("rb") as file:
        yield from (line for line in numbered_lines(file, path) if line.content.strip())


def json_line(line: Line) -> JsonLine:
    """The object that a line holds."""
    try:
        value = json.loads(line.content)
    except (ValueError, RecursionError) as error:
        raise line.wrong(f"is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise line.wrong("must be a JSON object, {...}")
    return JsonLine(line, value)


def json_lines(path: Path) -> Iterator[JsonLine]:
    """The objects of a file in JSON Lines."""
    yield from map(json_line, lines(path))
