"""What is refused before an engine sees it, and what isn't."""

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh_generator.adapters.check import CONFIG, WEIGHTS, BaseModel, check_adapter
from groundmesh_generator.adapters.weights import linear_shapes, tensors_of
from tests.adapter_files import INPUTS, MODULE, OUTPUTS, pair, safetensors, write_adapter

BASE = BaseModel("abc", {MODULE: (OUTPUTS, INPUTS), "model.norm": None}, max_rank=4)


def check(folder: Path, base: BaseModel = BASE, *, base_revision: str = "") -> None:
    check_adapter(folder, base, base_revision=base_revision)


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ({}, "F32"),
        ({}, "BF16"),
        ({"target_modules": "all-linear", "use_rslora": True}, "F16"),
        ({"r": 4, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"^model.layers.0": 8}}, "F32"),
        ({"init_lora_weights": "gaussian", "use_dora": False, "modules_to_save": None}, "F32"),
    ],
)
def test_a_good_one_passes(tmp_path: Path, config: dict[str, Any], dtype: str) -> None:
    check(write_adapter(tmp_path, dtype=dtype, **config), base_revision="abc")
    check(write_adapter(tmp_path, dtype=dtype, **config))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"peft_type": "IA3"}, "LoRA"),
        ({"r": 5}, "rank is 5"),
        ({"r": 0}, "rank is 0"),
        ({"r": "2"}, "rank is 2"),
        ({"r": True}, "rank is True"),
        ({"r": 4}, "rank 2, which"),
        ({"rank_pattern": {"k_proj": 99}}, "rank is 99"),
        ({"rank_pattern": {"(a+)+$": 2}}, "names of modules"),
        ({"alpha_pattern": {"(a+)+$": 2}}, "names of modules"),
        ({"alpha_pattern": {"q_proj": "x"}}, "q_proj must be a number"),
        ({"alpha_pattern": [1]}, "names of modules"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"lora_alpha": float("inf")}, "lora_alpha"),
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"of_next_year": True}, "of_next_year"),
        ({"bias": "all"}, "biases"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"target_modules": None}, "target_modules"),
    ],
)
def test_settings_that_can_not_be_served(tmp_path: Path, config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check(write_adapter(tmp_path, **config))


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ({}, "no tensor"),
        (pair("model.layers.9.self_attn.q_proj"), "no module"),
        (pair(inputs=5), "5 inputs"),
        (pair(outputs=3), "3 outputs"),
        (dict([*pair().items()][:1]), "only one"),
        ({**pair(), "base_model.model.lm_head.weight": (2, 2)}, "not a weight"),
        ({name.replace(".lora_", ".lora_embedding_"): (2, 2) for name in pair()}, "not a weight"),
        (dict.fromkeys(pair(), (2, 3, 2)), "fit together"),
        (dict.fromkeys(pair(), (2, 4)), "fit together"),
    ],
)
def test_tensors_that_do_not_fit(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        check(write_adapter(tmp_path, shapes))


def test_of_another_revision_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="revision old"):
        check(write_adapter(tmp_path), base_revision="old")


def test_of_a_type_that_adapters_do_not_have(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path)
    (folder / WEIGHTS).write_bytes(safetensors(pair(), dtype="F64", item_bytes=8))
    with pytest.raises(ValueError, match="F64"):
        check(folder)


def test_without_known_shapes_the_rest_is_checked(tmp_path: Path) -> None:
    unknown = BaseModel("abc", {}, max_rank=4)
    check(write_adapter(tmp_path / "good", pair("other", inputs=9)), unknown)
    with pytest.raises(ValueError, match="use_dora"):
        check(write_adapter(tmp_path / "bad", use_dora=True), unknown)
    quantised = BaseModel("abc", {MODULE: None}, max_rank=4)
    check(write_adapter(tmp_path / "good", pair(inputs=9)), quantised)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '"LORA"'])
def test_settings_that_are_none(tmp_path: Path, content: str) -> None:
    folder = write_adapter(tmp_path)
    (folder / CONFIG).write_text(content)
    with pytest.raises(ValueError, match=CONFIG):
        check(folder)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_and_never_crashes(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = safetensors(pair())
    path = tmp_path_factory.mktemp("damaged") / WEIGHTS
    cut = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:cut] if data.draw(st.booleans()) else whole + b"x" * (cut + 1))
    with pytest.raises(ValueError, match=WEIGHTS):
        tensors_of(path)


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "null",
        '{"a": 1}',
        '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}',
        '{"a": {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]}}',
        '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}',
        '{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
        '{"a": {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]}}',
        '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "b": 1}}',
        '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
    ],
)
def test_headers_that_lie(tmp_path: Path, header: str) -> None:
    path = tmp_path / WEIGHTS
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(8))
    with pytest.raises(ValueError, match=WEIGHTS):
        tensors_of(path)


def test_the_modules_of_a_model(tmp_path: Path) -> None:
    shapes = {"a.q_proj.weight": (6, 4), "a.norm.weight": (6,), "a.k_proj.qweight": (6, 4)}
    (tmp_path / "model-1.safetensors").write_bytes(safetensors(shapes))
    (tmp_path / "model-2.safetensors").write_bytes(safetensors({"b.v_proj.weight": (1, 2)}))
    assert linear_shapes(tmp_path) == {
        "a.q_proj": (6, 4),
        "a.norm": None,
        "a.k_proj": None,
        "b.v_proj": (1, 2),
    }
