"""Checks of request fields: each raises InvalidArgument that names the field."""

from collections.abc import Collection
from types import TracebackType
from typing import Protocol, Self, TypeVar

from groundmesh.errors import InvalidArgument
from groundmesh.identity import Principal, current_principal


class Name(Protocol):
    """A resource name: ``CollectionName``, ``DocumentName``."""

    @classmethod
    def parse(cls, text: str, *, field: str) -> Self:
        """Read a name or raise InvalidArgument."""
        ...

    def check_tenant(self, principal: Principal) -> None:
        """Raise PermissionDenied for another tenant's name."""
        ...


Value = TypeVar("Value", bound=int)


class EnumType(Protocol[Value]):
    """The wrapper that protobuf generates for an enum."""

    def values(self) -> Collection[Value]:
        """The numbers that this version knows."""
        ...

    def Name(self, number: Value) -> str:  # noqa: N802 - protobuf's name
        """What a number is called."""
        ...


N = TypeVar("N", bound=Name)
Number = TypeVar("Number", int, float)


def require_name(text: str, kind: type[N], *, field: str) -> N:
    """Read a name that must lie in the caller's own tenant (else PermissionDenied)."""
    name = kind.parse(text, field=field)
    name.check_tenant(current_principal())
    return name


def in_range(value: Number, *, field: str, low: Number, high: Number) -> Number:
    """``low <= value <= high``, which NaN never is; gives the value back."""
    if not low <= value <= high:
        raise InvalidArgument.of_field(field, f"must be from {low} to {high}, not {value}")
    return value


def not_empty(text: str, *, field: str) -> str:
    """At least one character that is no white space; gives the text back."""
    if not text or text.isspace():
        raise InvalidArgument.of_field(field, "must not be empty")
    return text


def max_bytes(value: str | bytes, *, field: str, limit: int) -> None:
    """At most ``limit`` bytes, of UTF-8 for a text."""
    size = len(value.encode() if isinstance(value, str) else value)
    if size > limit:
        raise InvalidArgument.of_field(field, f"has {size} bytes, at most {limit} are taken")


def max_items(count: int, *, field: str, limit: int) -> None:
    """At most ``limit`` items in a repeated field."""
    if count > limit:
        raise InvalidArgument.of_field(field, f"has {count} items, at most {limit} are taken")


def known_enum(
    value: Value, enum: EnumType[Value], *, field: str, default: Value | None = None
) -> Value:
    """A value that this version knows; unspecified (0) gives ``default``, or is refused."""
    if value == 0 and default is not None:
        return default
    known = [number for number in enum.values() if number != 0]
    if value not in known:
        names = ", ".join(enum.Name(number) for number in known)
        raise InvalidArgument.of_field(field, f"is {value}, must be one of {names}")
    return value


class Checks:
    """Collects what several checks find, to say it all at once.

    checks = Checks()
    with checks:
        in_range(request.limit, field="limit", low=1, high=100)
    with checks:
        not_empty(request.question, field="question")
    checks.raise_if_any()
    """

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self._found: list[InvalidArgument] = []

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, InvalidArgument):
            return False
        self._found.append(error)
        return True

    def raise_if_any(self) -> None:
        """Raise one InvalidArgument with every violation so far."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            fields = [violation for error in self._found for violation in error.fields]
            raise InvalidArgument("; ".join(error.message for error in self._found), fields=fields)
