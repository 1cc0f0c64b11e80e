"""Adapters made by hand, good ones and bad ones: small, and without torch."""

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

from groundmesh_generator.adapters.check import CONFIG, WEIGHTS

MODULE = "model.layers.0.self_attn.q_proj"
OUTPUTS, INPUTS, RANK = 6, 4, 2
Shapes = Mapping[str, tuple[int, ...]]


def pair(
    module: str = MODULE, *, rank: int = RANK, outputs: int = OUTPUTS, inputs: int = INPUTS
) -> dict[str, tuple[int, ...]]:
    """The two matrices of a module, by their names in an adapter."""
    name = f"base_model.model.{module}"
    return {f"{name}.lora_A.weight": (rank, inputs), f"{name}.lora_B.weight": (outputs, rank)}


def safetensors(shapes: Shapes, *, dtype: str = "F32", item_bytes: int = 4) -> bytes:
    """A file of zeros in these shapes."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in shapes.items():
        size = prod(shape) * item_bytes
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    content = json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + bytes(at)


def write_adapter(
    folder: Path, shapes: Shapes | None = None, *, dtype: str = "F32", **config: object
) -> Path:
    """A folder as PEFT would save it; ``config`` changes what its settings say."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 4,
        "target_modules": ["q_proj"],
        "bias": "none",
        **config,
    }
    (folder / CONFIG).write_text(json.dumps(settings))
    item_bytes = 4 if dtype == "F32" else 2
    data = safetensors(pair() if shapes is None else shapes, dtype=dtype, item_bytes=item_bytes)
    (folder / WEIGHTS).write_bytes(data)
    return folder
