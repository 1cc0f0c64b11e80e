"""A team's own templates, from a TOML file."""

import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from groundmesh.prompting.template import (
    AnswerStyle,
    Example,
    Passage,
    PassageOrder,
    Template,
    TemplateError,
)

E = TypeVar("E", bound=StrEnum)


def read_templates(path: Path) -> list[Template]:
    """The templates of a file; TemplateError names the file, and the line or the field."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TemplateError(str(path), f"can't be read: {error.strerror}") from error
    except ValueError as error:  # no TOML, and it says in which line; or no UTF-8
        raise TemplateError(str(path), f"is no TOML file: {error}") from error
    try:
        return [_template(each) for each in _Table(values, "").tables("templates")]
    except TemplateError as error:
        raise error.within(f"{path}: ") from error


class _Table:
    """The values of a table, each read once; what is left over is a mistake."""

    def __init__(self, values: Mapping[str, Any], path: str) -> None:
        self._left = dict(values)
        self._path = path

    def text(self, name: str, *, default: str | None = None) -> str:
        value = self._left.pop(name, default)
        if not isinstance(value, str):
            raise TemplateError(self.field(name), "must be a text")
        return value.strip("\n")

    def whole(self, name: str) -> int:
        value = self._left.pop(name, None)
        if type(value) is not int:  # a truth value is an int, too
            raise TemplateError(self.field(name), "must be a whole number")
        return value

    def one_of(self, kind: type[E], name: str, *, default: E | None = None) -> E:
        value = self.text(name, default=default)
        try:
            return kind(value)
        except ValueError as error:
            raise TemplateError(self.field(name), f"must be one of {', '.join(kind)}") from error

    def tables(self, name: str) -> Iterator["_Table"]:
        values = self._left.pop(name, [])
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            raise TemplateError(self.field(name), "must be tables: [[...]]")
        yield from (
            _Table(each, f"{self.field(name)}[{index}].") for index, each in enumerate(values)
        )
        self.end()

    def end(self) -> None:
        """Nothing else may be here."""
        if self._left:
            raise TemplateError(self.field(min(self._left)), "is not known")

    def field(self, name: str = "") -> str:
        return self._path + name


def _template(table: _Table) -> Template:
    values: dict[str, Any] = {
        "name": table.text("name"),
        "version": table.whole("version"),
        "system": table.text("system"),
        "passage": table.text("passage"),
        "question": table.text("question"),
        "style": table.one_of(AnswerStyle, "style"),
        "order": table.one_of(PassageOrder, "order", default=PassageOrder.BEST_FIRST),
        "examples": tuple(map(_example, table.tables("examples"))),
    }
    try:
        return Template(**values)
    except TemplateError as error:
        raise error.within(table.field()) from error


def _example(table: _Table) -> Example:
    question, answer = table.text("question"), table.text("answer")
    return Example(tuple(map(_passage, table.tables("passages"))), question, answer)


def _passage(table: _Table) -> Passage:
    title, place = table.text("title", default=""), table.text("place", default="")
    passage = Passage(title, place, table.text("text"))
    table.end()
    return passage
