"""Vectors as bytes."""

import numpy as np
import pytest

from groundmesh.errors import InvalidArgument
from groundmesh_embedder.vectors import packed

MATRIX = np.array([[1.0, -2.5], [0.125, 1000.0]], dtype=np.float32)


@pytest.mark.parametrize(("half", "dtype"), [(False, "<f4"), (True, "<f2")])
def test_are_row_major_and_little_endian(half: bool, dtype: str) -> None:
    raw = packed(MATRIX, half=half)
    assert np.array_equal(np.frombuffer(raw, dtype=dtype).reshape(2, 2), MATRIX)


def test_what_f16_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        packed(MATRIX * 100, half=True)
    assert refused.value.fields[0].field == "dtype"
