"""One id for everything that a client's call sets off, in every service's log."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

METADATA_KEY = "x-request-id"
"""The metadata key under which the id travels."""

_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_request_id: ContextVar[str | None] = ContextVar("groundmesh_request_id", default=None)


def current_request_id() -> str | None:
    """The id of the running call; None outside of one."""
    return _request_id.get()


def accept(offered: str | None) -> str:
    """The caller's id when it is well formed (it goes into logs as it is), else a new one."""
    if offered is not None and _WELL_FORMED.fullmatch(offered):
        return offered
    return uuid.uuid4().hex


@contextmanager
def carrying(request_id: str) -> Iterator[None]:
    """Run a block under ``request_id``; a client uses it to give several calls one id."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)
