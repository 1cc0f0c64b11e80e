"""One hierarchy of errors for every service and every client.

    MeshError
     ├── Cancelled            the caller has gone
     ├── InvalidArgument      the request is wrong, whatever the state; names the fields
     ├── DeadlineExceeded     the call's time is over
     ├── NotFound             what the request names does not exist
     ├── AlreadyExists        what the request would create is there
     ├── PermissionDenied     the principal may not do this
     ├── ResourceExhausted    too much at once, or too large; may say when to retry
     ├── FailedPrecondition   the request is right, the state is not
     ├── Aborted              a concurrent change won; read again and retry
     ├── Unimplemented        defined in the contract, not built yet
     ├── Internal             our fault; the log has the details
     ├── Unavailable          a part is away; retry when idempotent
     ├── DataLoss             what was stored does not match its hash
     └── Unauthenticated      no principal

Cores raise these; the chassis puts them on the wire as ``google.rpc.Status`` and the client
turns them back into the same class. This module imports neither grpc nor protobuf.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import ClassVar, Self

ERROR_DOMAIN = "groundmesh"
"""The ``ErrorInfo.domain`` of every error that Groundmesh itself raises."""


class Code(IntEnum):
    """The values of ``google.rpc.Code``."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class Reason(StrEnum):
    """Stable, machine-readable causes; ``ErrorReason`` in ``errors.proto`` documents each."""

    UNSPECIFIED = "UNSPECIFIED"
    # The call itself.
    MALFORMED_REQUEST = "MALFORMED_REQUEST"
    INVALID_FIELD = "INVALID_FIELD"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    CALLER_GONE = "CALLER_GONE"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    NOT_BUILT_YET = "NOT_BUILT_YET"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    # Identity.
    PRINCIPAL_MISSING = "PRINCIPAL_MISSING"
    TENANT_MISMATCH = "TENANT_MISMATCH"
    LABELS_NOT_HELD = "LABELS_NOT_HELD"
    # Load and life cycle.
    OVERLOADED = "OVERLOADED"
    NOT_READY = "NOT_READY"
    DRAINING = "DRAINING"
    ENGINE_DEAD = "ENGINE_DEAD"
    SERVICE_UNREACHABLE = "SERVICE_UNREACHABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    CONCURRENT_CHANGE = "CONCURRENT_CHANGE"
    # Models.
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    MODEL_MISMATCH = "MODEL_MISMATCH"
    RERANKER_NOT_CONFIGURED = "RERANKER_NOT_CONFIGURED"
    INPUT_TOO_LONG = "INPUT_TOO_LONG"
    ADAPTER_NOT_FOUND = "ADAPTER_NOT_FOUND"
    ADAPTER_UNUSABLE = "ADAPTER_UNUSABLE"
    TEMPLATE_NOT_FOUND = "TEMPLATE_NOT_FOUND"
    # Documents and retrieval.
    COLLECTION_NOT_FOUND = "COLLECTION_NOT_FOUND"
    COLLECTION_EXISTS = "COLLECTION_EXISTS"
    DOCUMENT_NOT_FOUND = "DOCUMENT_NOT_FOUND"
    DIMENSION_MISMATCH = "DIMENSION_MISMATCH"
    FULL_TEXT_UNSUPPORTED = "FULL_TEXT_UNSUPPORTED"
    TEXT_CORRUPTED = "TEXT_CORRUPTED"
    # Ingestion of one document.
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    DOCUMENT_EMPTY = "DOCUMENT_EMPTY"
    DOCUMENT_ENCRYPTED = "DOCUMENT_ENCRYPTED"
    DOCUMENT_DAMAGED = "DOCUMENT_DAMAGED"
    DOCUMENT_TOO_LARGE = "DOCUMENT_TOO_LARGE"
    DOCUMENT_HAS_NO_TEXT = "DOCUMENT_HAS_NO_TEXT"
    PARSER_TIMED_OUT = "PARSER_TIMED_OUT"
    PARSER_OUT_OF_MEMORY = "PARSER_OUT_OF_MEMORY"
    PARSER_CRASHED = "PARSER_CRASHED"
    # Reindexing.
    INDEX_CHANGED = "INDEX_CHANGED"
    REINDEX_NOT_FOUND = "REINDEX_NOT_FOUND"
    REINDEX_UNDER_WAY = "REINDEX_UNDER_WAY"
    REINDEX_INCOMPLETE = "REINDEX_INCOMPLETE"
    REINDEX_OVER = "REINDEX_OVER"


@dataclass(frozen=True)
class FieldViolation:
    """One wrong field of a request: its path (``texts[3]``) and what is wrong with it."""

    field: str
    description: str


class MeshError(Exception):
    """What went wrong, with what, and what to do, for a person and for a program."""

    code: ClassVar[Code]
    default_reason: ClassVar[Reason] = Reason.UNSPECIFIED

    def __init__(
        self,
        message: str,
        *,
        reason: Reason | None = None,
        fields: Sequence[FieldViolation] = (),
        retry_after_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """``retry_after_s`` is sent as ``RetryInfo``; ``metadata`` as that of ``ErrorInfo``."""
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.fields = tuple(fields)
        self.retry_after_s = retry_after_s
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.travelled = False
        """Whether another service raised it and a channel carried it here. That channel has
        retried already where it may, so nobody further up retries for the same cause."""

    @classmethod
    def of_field(cls, field: str, description: str, *, reason: Reason | None = None) -> Self:
        """The error for one field, named in the message and in the details."""
        return cls(
            f"{field}: {description}", reason=reason, fields=(FieldViolation(field, description),)
        )


class Cancelled(MeshError):
    """The caller has gone, or asked for the work to stop."""

    code = Code.CANCELLED
    default_reason = Reason.CALLER_GONE


class InvalidArgument(MeshError):
    """The request is wrong, whatever the state of the system."""

    code = Code.INVALID_ARGUMENT
    default_reason = Reason.INVALID_FIELD


class DeadlineExceeded(MeshError):
    """The time that the caller gave is over."""

    code = Code.DEADLINE_EXCEEDED
    default_reason = Reason.DEADLINE_PASSED


class NotFound(MeshError):
    """What the request names does not exist."""

    code = Code.NOT_FOUND


class AlreadyExists(MeshError):
    """What the request would create is there already, and differs."""

    code = Code.ALREADY_EXISTS


class PermissionDenied(MeshError):
    """The principal is known and may not do this."""

    code = Code.PERMISSION_DENIED
    default_reason = Reason.TENANT_MISMATCH


class ResourceExhausted(MeshError):
    """Too much at once, or too large."""

    code = Code.RESOURCE_EXHAUSTED
    default_reason = Reason.OVERLOADED


class FailedPrecondition(MeshError):
    """The request is right, but not in this state of the system."""

    code = Code.FAILED_PRECONDITION


class Aborted(MeshError):
    """A concurrent change won; read the state again and retry."""

    code = Code.ABORTED
    default_reason = Reason.CONCURRENT_CHANGE


class Unimplemented(MeshError):
    """The contract defines it, but this version, or the engine behind it, does not do it."""

    code = Code.UNIMPLEMENTED
    default_reason = Reason.NOT_BUILT_YET


class Internal(MeshError):
    """A fault of ours; the server's log has the details under the request id."""

    code = Code.INTERNAL
    default_reason = Reason.INTERNAL_ERROR


class Unavailable(MeshError):
    """A part of the mesh is away or not ready; an idempotent call may be tried again."""

    code = Code.UNAVAILABLE
    default_reason = Reason.SERVICE_UNREACHABLE


class DataLoss(MeshError):
    """What was stored can't be read back as it was written."""

    code = Code.DATA_LOSS
    default_reason = Reason.TEXT_CORRUPTED


class Unauthenticated(MeshError):
    """The call carries no principal that this server accepts."""

    code = Code.UNAUTHENTICATED
    default_reason = Reason.PRINCIPAL_MISSING


BY_CODE: Mapping[Code, type[MeshError]] = MappingProxyType(
    {cls.code: cls for cls in MeshError.__subclasses__()}
)
"""The class of each code, for the way back from the wire."""
