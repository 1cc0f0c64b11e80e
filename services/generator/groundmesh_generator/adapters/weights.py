"""What safetensors files say of their tensors, without reading one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

MAX_HEADER_BYTES = 64 * 1024**2
_LENGTH_BYTES = 8
_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as the header describes it."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def tensors_of(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file; ValueError when it isn't whole, or no safetensors at all."""
    tensors, size = _read(path)
    at = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: tensor.begin):
        expected = prod(tensor.shape) * _ITEM_BYTES.get(tensor.dtype, 0)
        if tensor.begin != at or expected not in (0, tensor.end - tensor.begin):
            raise ValueError(f"the tensors of {path.name} don't lie as their shapes say")
        at = tensor.end
    if at != size:
        raise ValueError(f"{path.name} has {size} bytes of tensors, its header says {at}")
    return tensors


def linear_shapes(folder: Path) -> Mapping[str, tuple[int, ...] | None]:
    """The modules of a model folder: (outputs, inputs) of each that has a weight of two dimensions.

    None for other modules with tensors, such as quantised ones. Empty for a model whose weights
    aren't safetensors.
    """
    modules: dict[str, tuple[int, ...] | None] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, tensor in _read(path)[0].items():
            module, _, parameter = name.rpartition(".")
            if parameter == "weight" and len(tensor.shape) == 2:  # noqa: PLR2004 - a matrix
                modules[module] = tensor.shape
            else:
                modules.setdefault(module, None)
    return modules


def _read(path: Path) -> tuple[dict[str, Tensor], int]:
    """What the header says, and the bytes that come after it."""
    size = path.stat().st_size - _LENGTH_BYTES
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if not 2 <= length <= min(MAX_HEADER_BYTES, size):  # noqa: PLR2004 - of {}
            raise ValueError(f"{path.name} is no whole safetensors file")
        content = file.read(length)
    try:
        header = json.loads(content)
        header.pop("__metadata__", None)
        return {name: _tensor(**fields) for name, fields in header.items()}, size - length
    except (AttributeError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"the header of {path.name} is damaged") from error


def _tensor(*, dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
    begin, end = data_offsets
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end - begin)):
        raise ValueError("a tensor has no size")
    return Tensor(str(dtype), tuple(shape), begin, end)
