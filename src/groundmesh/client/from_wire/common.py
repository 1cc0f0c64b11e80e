"""What several kinds of values have in them."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

E = TypeVar("E", bound=StrEnum)


def enum_value(cls: type[E], descriptor: EnumDescriptor, number: int) -> E:
    """Ours of a wire enum; UNSPECIFIED for a value that a newer server has."""
    name = bare_name(descriptor, number)
    return cls(name if name in cls.__members__ else "UNSPECIFIED")


def bare_name(descriptor: EnumDescriptor, number: int) -> str:
    """``DENSE`` for ``SEARCH_MODE_DENSE``; a number that this client does not know, as it is."""
    if number not in descriptor.values_by_number:
        return str(number)
    prefix = descriptor.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return descriptor.values_by_number[number].name.removeprefix(prefix)


def seconds(wire: Duration) -> float:
    """A duration in seconds."""
    return wire.ToNanoseconds() / 1e9


def time(wire: Timestamp) -> datetime:
    """A moment, in UTC."""
    return wire.ToDatetime(tzinfo=UTC)
