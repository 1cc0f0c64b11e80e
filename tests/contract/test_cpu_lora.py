"""Adapters on a processor against the plain formula, token by token."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore")]

SLOTS, RANK, INPUTS, SLICES = 3, 4, 5, (6, 2)
IDS: list[int | None] = [7, None, 9]
"""The adapters in the slots; the last is what vLLM's own wrapper gives to tokens without one."""


@pytest.mark.parametrize("prefill", [True, False])
@pytest.mark.parametrize(
    "numbers", [[0, 0, 0], [9] * 4, [7, 7, 0, 9, 9], [9, 0, 7, 9, 0, 7], [0], [0, 9]]
)
def test_every_token_gets_its_own_adapter_or_none(numbers: list[int], prefill: bool) -> None:
    import torch

    from groundmesh_generator.backends.cpu_lora import GroupedPunicaWrapper

    torch.manual_seed(random.Random(str(numbers)).randrange(1000))
    wrapper = GroupedPunicaWrapper(64, max_batches=8, device="cpu")
    mapping = SimpleNamespace(index_mapping=numbers, prompt_mapping=numbers, is_prefill=prefill)
    wrapper.update_metadata(mapping, IDS, SLOTS + 1, 100)
    a = [torch.randn(SLOTS, 1, RANK, INPUTS) for _ in SLICES]
    b = [torch.randn(SLOTS, 1, size, RANK) for size in SLICES]
    x, y = torch.randn(len(numbers), INPUTS), torch.randn(len(numbers), sum(SLICES))

    def deltas(a: list[Any], b: list[Any]) -> Any:
        rows = []
        for row, number in zip(x, numbers, strict=True):
            slot = IDS.index(number) if number else None
            parts = [
                row @ each_a[slot, 0].T @ each_b[slot, 0].T
                if number
                else torch.zeros(len(each_b[0, 0]))
                for each_a, each_b in zip(a, b, strict=True)
            ]
            rows.append(torch.cat(parts))
        return torch.stack(rows)

    linear = y.clone()
    wrapper.add_lora_linear(linear, x, a, b, 1.0, SLICES)
    torch.testing.assert_close(linear, y + deltas(a, b))
    logits = y[:, :6].clone()
    wrapper.add_lora_logits(logits, x, a[0], b[0], 1.0)
    torch.testing.assert_close(logits, y[:, :6] + deltas(a[:1], b[:1]))
    looked_up = torch.randn(len(numbers), RANK)
    embedded = y[:, :6].clone()
    wrapper.add_lora_embedding(embedded, looked_up, b[0])
    expected = [
        row + (one @ b[0][IDS.index(number), 0].T if number else 0)
        for row, one, number in zip(y[:, :6], looked_up, numbers, strict=True)
    ]
    torch.testing.assert_close(embedded, torch.stack(expected))
