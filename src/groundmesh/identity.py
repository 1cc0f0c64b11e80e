"""Who a call acts for: put there by the chassis, read by a core, carried on by every channel."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

ALL_LABELS = "*"
"""A principal whose labels hold this reads everything in its tenant."""


ID_PATTERN = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""What ids of tenants and collections look like (those of DNS labels)."""


@dataclass(frozen=True)
class Principal:
    """The tenant, the subject in it, and the reader labels that the subject holds.

    ValueError for a tenant that is no id and for an empty label: what a principal says goes into
    the filters of stores.
    """

    tenant: str
    subject: str
    labels: frozenset[str]

    def __post_init__(self) -> None:
        if re.fullmatch(ID_PATTERN, self.tenant) is None:
            raise ValueError(f"{self.tenant!r} is no id of a tenant")
        if not all(label.isprintable() and label for label in self.labels):
            raise ValueError("a label must be printable and not empty")

    @classmethod
    def local(cls) -> "Principal":
        """The one user of a laptop: tenant ``default``, may read everything in it."""
        return cls(tenant="default", subject="local", labels=frozenset({ALL_LABELS}))

    @property
    def reads_all(self) -> bool:
        """Whether no label filter applies to this principal."""
        return ALL_LABELS in self.labels


_principal: ContextVar[Principal] = ContextVar("groundmesh_principal")


def current_principal() -> Principal:
    """The principal of the running call; LookupError outside of one."""
    try:
        return _principal.get()
    except LookupError:
        raise LookupError("no principal: this code runs outside a call") from None


@contextmanager
def acting_as(principal: Principal) -> Iterator[None]:
    """Run a block as ``principal``: what the chassis does for a call, and a job for its owner."""
    token = _principal.set(principal)
    try:
        yield
    finally:
        _principal.reset(token)
