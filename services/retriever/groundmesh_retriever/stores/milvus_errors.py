"""What Milvus and pymilvus say, in our words."""

import logging

from pymilvus import MilvusException
from pymilvus.exceptions import DataNotMatchException, ParamError

from groundmesh.errors import Internal, Reason, Unavailable
from groundmesh_retriever.stores.base import IndexMissing

log = logging.getLogger(__name__)

_COLLECTION_NOT_FOUND = 100
_COLLECTION_NOT_LOADED = 101
_INVALID_PARAMETER = range(1100, 1200)
"""Milvus since 2.3."""
_LITE_ILLEGAL_ARGUMENT = (6, 6)
"""Milvus Lite's code, new and old; Milvus itself means something else by 6, and has another old."""


class NotLoaded(Exception):
    """The collection is there, but not in memory."""


def translated(error: MilvusException) -> Exception:
    """What an error of pymilvus means."""
    if error.code == _COLLECTION_NOT_FOUND:
        return IndexMissing(error.message)
    if error.code == _COLLECTION_NOT_LOADED:
        return NotLoaded(error.message)
    if _is_refusal(error):
        # Requests are checked before they come here: this is a fault of ours, which would not go
        # away by trying again.
        log.error("milvus refused a request: %s", error)
        return Internal("the vector store refused what it was asked; the retriever's log says why")
    return away(error)


def _is_refusal(error: MilvusException) -> bool:
    """Whether the request is at fault. Old servers say for much that is not: unexpected error."""
    return (
        error.is_input_error
        or isinstance(error, (DataNotMatchException, ParamError))  # by pymilvus itself
        or error.code in _INVALID_PARAMETER
        or (error.code, error.compatible_code) == _LITE_ILLEGAL_ARGUMENT
    )


def away(error: Exception) -> Unavailable:
    """The store can't be asked now."""
    log.warning("milvus: %s: %s", type(error).__name__, error)
    return Unavailable(
        "the vector store does not answer", reason=Reason.STORE_UNAVAILABLE, retry_after_s=1.0
    )
