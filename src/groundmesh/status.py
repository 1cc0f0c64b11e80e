"""Errors on the wire: ``MeshError`` to ``google.rpc.Status`` and back."""

from collections.abc import Sequence
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status

from groundmesh.errors import (
    BY_CODE,
    ERROR_DOMAIN,
    Code,
    DeadlineExceeded,
    FieldViolation,
    Internal,
    MeshError,
    Reason,
    ResourceExhausted,
    Unavailable,
)

DETAILS_KEY = "grpc-status-details-bin"
"""The trailing metadata that carries a serialized ``google.rpc.Status``."""

# Clients refuse headers of more than 8 KiB in all, and binary ones grow by a third on the way.
_MESSAGE_BYTES = 1000
_DETAIL_BYTES = 1500

_UNHEALTHY = "backend unhealthy"
"""What grpc says of calls that it did not send, since the health that it watches is bad."""

STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
"""grpc's own enum by number."""


def to_status(error: MeshError, *, request_id: str | None = None) -> Status:
    """What is sent for ``error``; long messages and long lists are cut so that it always fits."""
    status = Status(code=error.code, message=clip(error.message, _MESSAGE_BYTES))
    details: list[Message] = [_error_info(error)]
    if error.fields:
        details.append(_bad_request(error.fields))
    if error.retry_after_s is not None:
        details.append(RetryInfo(retry_delay=_duration(error.retry_after_s)))
    if request_id is not None:
        details.append(RequestInfo(request_id=request_id))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _error_info(error: MeshError) -> ErrorInfo:
    info = ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN)
    for key, value in error.metadata.items():
        info.metadata[key] = value
        if info.ByteSize() > _DETAIL_BYTES:
            del info.metadata[key]
    return info


def _bad_request(fields: Sequence[FieldViolation]) -> BadRequest:
    found = BadRequest()
    for violation in fields:
        found.field_violations.add(
            field=clip(violation.field, 200), description=clip(violation.description, 500)
        )
        if found.ByteSize() > _DETAIL_BYTES:
            del found.field_violations[-1]
            break
    return found


def clip(text: str, limit: int) -> str:
    """Cut a text to ``limit`` bytes of UTF-8, which a lone surrogate of a file name has none of."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def from_rpc_error(error: grpc.aio.AioRpcError, *, peer: str | None = None) -> MeshError:
    """The error that the server raised; without details of ours, the one that the code means."""
    status = _sent_status(error)
    mesh_error = _without_details(error, peer) if status is None else from_status(status)
    mesh_error.travelled = True
    return mesh_error


def _sent_status(error: grpc.aio.AioRpcError) -> Status | None:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return Status.FromString(value)
            except DecodeError:
                return None
    return None


def from_status(status: Status) -> MeshError:
    """The error that a status inside a message stands for."""
    info = _unpack(status.details, ErrorInfo()) or ErrorInfo()
    bad_request = _unpack(status.details, BadRequest()) or BadRequest()
    retry = _unpack(status.details, RetryInfo())
    return _class_of(status.code)(
        status.message,
        reason=_reason(info),
        fields=[FieldViolation(f.field, f.description) for f in bad_request.field_violations],
        retry_after_s=None if retry is None else retry.retry_delay.ToNanoseconds() / 1e9,
        metadata=dict(info.metadata),
    )


M = TypeVar("M", bound=Message)


def _unpack(details: Sequence[AnyMessage], empty: M) -> M | None:
    return next((empty for detail in details if detail.Unpack(empty)), None)


def _reason(info: ErrorInfo) -> Reason:
    known = info.domain == ERROR_DOMAIN and info.reason in Reason.__members__
    return Reason[info.reason] if known else Reason.UNSPECIFIED


def _class_of(number: int) -> type[MeshError]:
    return BY_CODE.get(Code(number), Internal) if number in set(Code) else Internal


def _without_details(error: grpc.aio.AioRpcError, peer: str | None) -> MeshError:
    """The status comes from grpc itself, from a proxy or from a server that is not ours."""
    who = "the service" if peer is None else f"the {peer}"
    said = error.details() or "no message"
    match error.code():
        case grpc.StatusCode.UNAVAILABLE if _UNHEALTHY in said:
            return Unavailable(
                f"{who} is not ready: it is starting, or going down",
                reason=Reason.NOT_READY,
            )
        case grpc.StatusCode.UNAVAILABLE:
            return Unavailable(f"{who} can't be reached ({said})")
        case grpc.StatusCode.CANCELLED:  # not by us: that raises asyncio.CancelledError
            return Unavailable(f"{who} gave up the call ({said})")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(f"{who} did not answer in time")
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "message larger than max" in said:
            return ResourceExhausted(said, reason=Reason.MESSAGE_TOO_LARGE)
        case code:
            return _class_of(code.value[0])(said)
