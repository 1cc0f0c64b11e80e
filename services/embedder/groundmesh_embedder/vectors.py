"""Vectors as bytes."""

import numpy as np

from groundmesh.errors import InvalidArgument
from groundmesh_embedder.backends.base import Rows


def packed(vectors: Rows, *, half: bool) -> bytes:
    """Row-major, little-endian: binary16 when ``half``, else binary32."""
    if not half:
        return vectors.astype("<f4", copy=False).tobytes()
    with np.errstate(over="ignore"):  # told below, as an error
        small = vectors.astype("<f2")
    if not np.isfinite(small).all():
        raise InvalidArgument.of_field(
            "dtype", "F16 can't hold the vectors of this model, which are not normalized; take F32"
        )
    return small.tobytes()
