"""Whether an adapter can run on a model, found out before the engine sees it.

vLLM checks some of this itself, while it loads, in the process that generates for everybody: part
of it not at all, and some failures end that process.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundmesh_generator.adapters.weights import Tensor, tensors_of

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
FILES = (CONFIG, WEIGHTS)
"""All that is fetched of an adapter: nothing that could be unpickled ever gets near the engine."""

MAX_CONFIG_BYTES = 1024**2
DTYPES = ("F32", "F16", "BF16")
_PREFIX = "base_model.model."
_PAIR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
# Names are put into regular expressions by vLLM; one that is more than a name could take forever.
_PATTERN_KEY = re.compile(r"\^?[\w.]+")

_SERVED = frozenset(
    (
        *("alpha_pattern", "bias", "init_lora_weights", "lora_alpha", "peft_type", "r"),
        *("rank_pattern", "target_modules", "use_rslora"),
        # Of learning, or of other features when those are on.
        *("auto_mapping", "base_model_name_or_path", "ensure_weight_tying", "eva_config"),
        *("exclude_modules", "fan_in_fan_out", "inference_mode", "layers_pattern"),
        *("layers_to_transform", "lora_dropout", "lora_ga_config", "megatron_core"),
        *("peft_version", "qalora_group_size", "revision", "runtime_config", "task_type"),
    )
)
"""Settings of PEFT that may be set. Others are features that vLLM doesn't serve (DoRA, whole
modules, biases), or that nobody has thought of yet: vLLM would leave them out without a word."""
# These change how the learning begins; all others that have a name change the base's own weights.
_PLAIN_INITS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")


@dataclass(frozen=True)
class BaseModel:
    """What an adapter must fit."""

    revision: str
    modules: Mapping[str, tuple[int, ...] | None]
    """See ``linear_shapes``; empty: not known."""
    max_rank: int


def check_adapter(folder: Path, base: BaseModel, *, base_revision: str) -> None:
    """ValueError says why the adapter of a folder can't be served by this model."""
    if base_revision and base_revision != base.revision:
        raise ValueError(
            f"it was made for revision {base_revision} of its model, {base.revision} is served"
        )
    config = _config(folder / CONFIG)
    _check_features(config)
    ranks = _Ranks.of(config, limit=base.max_rank)
    for module, a, b in _pairs(tensors_of(folder / WEIGHTS)):
        ranks.check(module, a, b)
        _check_shapes(module, a, b, base)


def _config(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ValueError(f"{CONFIG} is larger than {MAX_CONFIG_BYTES} bytes")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{CONFIG} is no JSON") from error
    if isinstance(config, dict) and config.get("peft_type") == "LORA":
        return config
    raise ValueError(f"{CONFIG} is not that of a LoRA adapter (peft_type LORA)")


def _check_features(config: Mapping[str, Any]) -> None:
    if used := [name for name, value in config.items() if value and name not in _SERVED]:
        raise ValueError(f"it uses {', '.join(used)}, which can't be served")
    if config.get("bias", "none") != "none":
        raise ValueError("it has biases, which can't be served")
    init = config.get("init_lora_weights", True)
    if isinstance(init, str) and init.lower() not in _PLAIN_INITS:
        raise ValueError(f"init_lora_weights {init} changes the model's own weights")
    if not config.get("target_modules"):
        raise ValueError(f"{CONFIG} names no target_modules")


@dataclass(frozen=True)
class _Ranks:
    """The rank of the adapter, and of modules that have another."""

    allowed: frozenset[int]

    @classmethod
    def of(cls, config: Mapping[str, Any], *, limit: int) -> "_Ranks":
        _number(config, "lora_alpha")
        for name in ("rank_pattern", "alpha_pattern"):
            pattern = config.get(name) or {}
            if not isinstance(pattern, dict) or not all(map(_PATTERN_KEY.fullmatch, pattern)):
                raise ValueError(f"{name} must map names of modules")
            for key in pattern:
                _number(pattern, key)
        ranks = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
        for rank in ranks:
            if type(rank) is not int or not 1 <= rank <= limit:
                raise ValueError(f"its rank is {rank}, this server takes 1 to {limit}")
        return cls(frozenset(ranks))

    def check(self, module: str, a: Tensor, b: Tensor) -> None:
        if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1]:  # noqa: PLR2004
            raise ValueError(f"the two matrices of {module} don't fit together")
        if a.shape[0] not in self.allowed:
            raise ValueError(f"{module} has rank {a.shape[0]}, which {CONFIG} doesn't say")


def _number(values: Mapping[str, Any], name: str) -> None:
    value = values.get(name)
    if type(value) not in (int, float) or not abs(value) < float("inf"):  # type: ignore[arg-type]
        raise ValueError(f"{name} must be a number in {CONFIG}")


def _pairs(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor, Tensor]]:
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _PAIR.fullmatch(name.removeprefix(_PREFIX))
        if match is None:
            raise ValueError(f"{name} is not a weight of a LoRA adapter")
        if tensor.dtype not in DTYPES:
            raise ValueError(f"{name} is of type {tensor.dtype}, not one of {', '.join(DTYPES)}")
        sides.setdefault(match["module"], {})[match["side"]] = tensor
    if not sides:
        raise ValueError(f"{WEIGHTS} holds no tensor")
    for module, pair in sides.items():
        if len(pair) != 2:  # noqa: PLR2004 - a pair
            raise ValueError(f"{module} has only one of its two matrices")
        yield module, pair["A"], pair["B"]


def _check_shapes(module: str, a: Tensor, b: Tensor, base: BaseModel) -> None:
    if not base.modules:
        return
    if module not in base.modules:
        raise ValueError(f"the model has no module {module}")
    expected = base.modules[module]
    if expected is not None and expected != (b.shape[0], a.shape[1]):
        raise ValueError(
            f"{module} is for {a.shape[1]} inputs and {b.shape[0]} outputs; the model's has"
            f" {expected[1]} and {expected[0]}"
        )
