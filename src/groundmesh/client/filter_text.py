"""Filters as text: ``year >= 2020 and lang in ["en", "de"]``, checked before anything is sent.

    filter     = all { "or" all }
    all        = one { "and" one }
    one        = "not" one | "(" filter ")" | FIELD compare value | FIELD "in" list
    compare    = "==" | "!=" | "<" | "<=" | ">" | ">="
    list       = "[" value { "," value } "]"
    value      = STRING | NUMBER | "true" | "false"

A STRING is written as in JSON. The result is a tree of typed values, never a piece of text, so a
value can't become syntax on its way to the store.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from groundmesh.client.options import AllOf, AnyOf, Compare, Filter, NoneOf, Operator
from groundmesh.errors import InvalidArgument

_DEEPEST = 32
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")
  | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>==|!=|<=|>=|[<>()\[\],])
  | (?P<end>\Z)
)""",
    re.VERBOSE,
)
_COMPARE = {
    "==": Operator.EQUAL,
    "!=": Operator.NOT_EQUAL,
    "<": Operator.LESS,
    "<=": Operator.LESS_OR_EQUAL,
    ">": Operator.GREATER,
    ">=": Operator.GREATER_OR_EQUAL,
}
_WORDS = frozenset({"and", "or", "not", "in", "true", "false"})


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_filter(text: str) -> Filter:
    """The filter that a text says; InvalidArgument tells what is wrong with it, and where."""
    parser = _Parser(text)
    made = parser.filter(1)
    parser.expect("end", "the end, and, or")
    return made


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            start = len(text) - len(text[at:].lstrip())
            hint = " (equality is ==)" if text[start] == "=" else ""
            raise _wrong(start, f"{text[start : start + 12]!r} is no part of a filter{hint}")
        kind = str(match.lastgroup)
        yield _Token(kind, match[kind], match.start(kind))
        if kind == "end":
            return
        at = match.end()


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = next(self._tokens)

    def filter(self, depth: int) -> Filter:
        """Alternatives."""
        if depth > _DEEPEST:
            raise _wrong(self._next.at, "nested too deep")
        alternatives = self._chain("or", lambda: self._all(depth))
        return alternatives[0] if len(alternatives) == 1 else AnyOf(alternatives)

    def expect(self, kind: str, what: str) -> _Token:
        """The next token, which must be of that kind."""
        token = self._next
        if token.kind != kind or (kind == "word" and token.text in _WORDS):
            raise _wrong(token.at, f"expected {what}, not {token.text or 'the end'!r}")
        if kind != "end":
            self._next = next(self._tokens)
        return token

    def _all(self, depth: int) -> Filter:
        parts = self._chain("and", lambda: self._one(depth))
        return parts[0] if len(parts) == 1 else AllOf(parts)

    def _chain(self, word: str, part: Callable[[], Filter]) -> tuple[Filter, ...]:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return tuple(parts)

    def _one(self, depth: int) -> Filter:
        if self._take("not"):
            if depth > _DEEPEST:
                raise _wrong(self._next.at, "nested too deep")
            return NoneOf((self._one(depth + 1),))
        if self._take("("):
            inner = self.filter(depth + 1)
            self._must_take(")")
            return inner
        field = self.expect("word", "a field").text
        if self._take("in"):
            return Compare(field, Operator.IN, self._list())
        sign = self.expect("sign", "a comparison")
        if sign.text not in _COMPARE:
            raise _wrong(sign.at, f"expected a comparison, not {sign.text!r}")
        return Compare(field, _COMPARE[sign.text], (self._value(),))

    def _list(self) -> tuple[str | float | bool, ...]:
        self._must_take("[")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._must_take("]")
        return tuple(values)

    def _value(self) -> str | float | bool:
        for word, truth in (("true", True), ("false", False)):
            if self._take(word):
                return truth
        token = self._next
        if token.kind not in {"string", "number"}:
            what = token.text or "the end"
            raise _wrong(token.at, f'expected a "string", a number, true or false, not {what!r}')
        self._next = next(self._tokens)
        return _number(token) if token.kind == "number" else _string(token)

    def _take(self, text: str) -> bool:
        if self._next.kind not in {"word", "sign"} or self._next.text != text:
            return False
        self._next = next(self._tokens)
        return True

    def _must_take(self, text: str) -> None:
        if not self._take(text):
            raise _wrong(self._next.at, f"expected {text!r}, not {self._next.text or 'the end'!r}")


def _number(token: _Token) -> float:
    number = float(token.text)
    if not math.isfinite(number):
        raise _wrong(token.at, f"{token.text} is too large")
    return number


def _string(token: _Token) -> str:
    try:
        text = str(json.loads(token.text))
        text.encode()  # half of a surrogate pair is no text
    except ValueError:
        raise _wrong(token.at, f"{token.text} is no string as in JSON") from None
    return text


def _wrong(at: int, what: str) -> InvalidArgument:
    return InvalidArgument.of_field("filter", f"at character {at + 1}: {what}")
