"""The layer that puts whatever a handler raises on the wire."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import grpc.aio

from groundmesh.errors import DeadlineExceeded, Internal, MeshError, Reason, Unavailable
from groundmesh.request_id import current_request_id
from groundmesh.server.call import Call, CallerGone
from groundmesh.status import DETAILS_KEY, STATUS_CODES, clip, from_rpc_error, to_status

logger = logging.getLogger(__name__)

_MESSAGE_BYTES = 300
"""Of ``grpc-message``, for clients that read no details; it is percent-encoded on the wire."""

_DO_NOT_RETRY = ("grpc-retry-pushback-ms", "-1")


@asynccontextmanager
async def errors(call: Call) -> AsyncIterator[None]:
    """Send a status with details for what the block raises; a caller that left gets nothing."""
    try:
        yield
    except grpc.aio.AbortError:
        call.code = "ABORTED_BY_HANDLER"  # grpcio's own services do this, ours raise MeshError
        raise
    except asyncio.CancelledError as cancelled:
        error = _reason_of(cancelled, call)
        if error is None:
            call.code = "CANCELLED"
            raise
        await _abort(call, error)
    except Exception as raised:  # noqa: BLE001 - whatever it is, the caller is told
        await _abort(call, _as_mesh_error(raised))


def _reason_of(cancelled: asyncio.CancelledError, call: Call) -> MeshError | None:
    """Why the server ended the call; None when its caller has gone.

    Whoever is still there must get an answer: grpc.aio sends none for a CancelledError.
    """
    if call.stopped_with is not None:
        return call.stopped_with
    if isinstance(cancelled, CallerGone) or call.task.cancelling():
        return None
    return Unavailable("the engine gave up the work", reason=Reason.ENGINE_DEAD)


def _as_mesh_error(raised: Exception) -> MeshError:
    if isinstance(raised, ExceptionGroup):  # of a TaskGroup in the handler
        raised = _first_mesh_error(raised)
    if isinstance(raised, MeshError):
        if isinstance(raised, Internal):
            logger.error("internal error", exc_info=raised)
        return raised
    if isinstance(raised, grpc.aio.AioRpcError):
        return from_rpc_error(raised)
    if isinstance(raised, TimeoutError):
        logger.warning("a wait inside the service timed out", exc_info=raised)
        return DeadlineExceeded("a step of the work took too long")
    logger.error("unexpected error", exc_info=raised)
    return Internal(
        f"a fault of the service; its log has the details under request {current_request_id()}"
    )


def _first_mesh_error(group: ExceptionGroup[Exception]) -> Exception:
    found: BaseException | None = group.subgroup(MeshError)
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found if isinstance(found, MeshError) else group


async def _abort(call: Call, error: MeshError) -> NoReturn:
    call.code = error.code.name
    status = to_status(error, request_id=current_request_id())
    trailing: list[tuple[str, str | bytes]] = [(DETAILS_KEY, status.SerializeToString())]
    if error.travelled:
        trailing.append(_DO_NOT_RETRY)
    await call.context.abort(
        STATUS_CODES[error.code], clip(status.message, _MESSAGE_BYTES), tuple(trailing)
    )
