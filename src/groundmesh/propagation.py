"""What travels in a call's metadata from hop to hop, beside the deadline. No grpc here."""

from collections.abc import Iterable

from groundmesh.errors import Unauthenticated
from groundmesh.identity import Principal, current_principal
from groundmesh.request_id import METADATA_KEY, current_request_id

_PRINCIPAL = "x-groundmesh-principal-"
_TENANT, _SUBJECT, _LABELS = (f"{_PRINCIPAL}{part}-bin" for part in ("tenant", "subject", "labels"))
_SEPARATOR = "\n"  # no label holds it: a Principal's labels are printable

Metadata = tuple[tuple[str, str | bytes], ...]
"""The metadata of a call as grpc takes it."""


def outgoing_metadata() -> Metadata:
    """The request id and the principal of the running call, for a call made by it."""
    request_id = current_request_id()
    mine: Metadata = () if request_id is None else ((METADATA_KEY, request_id),)
    try:
        return mine + _principal_metadata(current_principal())
    except LookupError:
        return mine


def _principal_metadata(principal: Principal) -> Metadata:
    labels = _SEPARATOR.join(sorted(principal.labels))
    return (
        (_TENANT, principal.tenant.encode()),
        (_SUBJECT, principal.subject.encode()),
        (_LABELS, labels.encode()),
    )


def incoming_principal(metadata: Iterable[tuple[str, str | bytes]]) -> Principal:
    """The principal that a mesh peer vouches for; Unauthenticated without a whole one."""
    said = {key: value for key, value in metadata if key.startswith(_PRINCIPAL)}
    try:
        tenant, subject, labels = (_text(said[key]) for key in (_TENANT, _SUBJECT, _LABELS))
        return Principal(tenant, subject, frozenset(filter(None, labels.split(_SEPARATOR))))
    except KeyError as missing:
        raise Unauthenticated(
            f"the call carries no principal (metadata {missing} is absent)"
        ) from missing
    except ValueError as wrong:
        raise Unauthenticated(f"the call's principal is malformed: {wrong}") from wrong


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
