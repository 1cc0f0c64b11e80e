"""What several messages share: times, durations, vectors, values, page sizes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from groundmesh.errors import InvalidArgument
from groundmesh.server.checks import in_range, known_enum
from groundmesh.v1 import common_pb2
from groundmesh_retriever.model import Scalar
from groundmesh_retriever.stores.base import Vectors

_MAX_INT32 = (1 << 31) - 1
_DEFAULT_PAGE = 100
_MAX_PAGE = 1_000
_NUMBERS: Mapping[int, np.dtype[np.floating[Any]]] = {
    common_pb2.VECTOR_DTYPE_F32: np.dtype("<f4"),
    common_pb2.VECTOR_DTYPE_F16: np.dtype("<f2"),
}


def timestamp(moment: datetime) -> Timestamp:
    """A moment as it is sent."""
    sent = Timestamp()
    sent.FromDatetime(moment)
    return sent


def duration(seconds: float) -> Duration:
    """A length of time as it is sent."""
    sent = Duration()
    sent.FromMicroseconds(round(seconds * 1e6))
    return sent


def page_size(asked: int) -> int:
    """How many items to give; too many are cut down (AIP-158)."""
    in_range(asked, field="page_size", low=0, high=_MAX_INT32)
    return min(asked or _DEFAULT_PAGE, _MAX_PAGE)


def matrix(vectors: common_pb2.Vectors, *, field: str) -> Vectors:
    """The rows of a message as numbers."""
    dtype = _NUMBERS[
        known_enum(
            vectors.dtype,
            common_pb2.VectorDtype,
            field=f"{field}.dtype",
            default=common_pb2.VECTOR_DTYPE_F32,
        )
    ]
    in_range(vectors.rows, field=f"{field}.rows", low=0, high=_MAX_INT32)
    in_range(vectors.dimension, field=f"{field}.dimension", low=0, high=_MAX_INT32)
    size = vectors.rows * vectors.dimension * dtype.itemsize
    if len(vectors.data) != size:
        raise InvalidArgument.of_field(
            f"{field}.data", f"must be {size} bytes, as rows, dimension and dtype say"
        )
    rows = np.frombuffer(vectors.data, dtype=dtype).reshape(vectors.rows, vectors.dimension)
    return rows.astype(np.float32)


def scalar(value: Value, *, field: str) -> Scalar:
    """A string, number or boolean."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case _:
            raise InvalidArgument.of_field(field, "must be a string, a number or a boolean")
