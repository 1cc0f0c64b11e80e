"""Times in the catalog: integers, microseconds since 1970 in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now() -> int:
    """The present moment."""
    return (datetime.now(tz=UTC) - _EPOCH) // _MICROSECOND


def ago(seconds: float) -> int:
    """The moment that many seconds before the present."""
    return now() - int(seconds * 1_000_000)


def to_datetime(microseconds: int) -> datetime:
    """The moment as Python's own type."""
    return _EPOCH + microseconds * _MICROSECOND


def from_datetime(moment: datetime) -> int:
    """The moment as the catalog keeps it."""
    return (moment - _EPOCH) // _MICROSECOND
