"""Adapters on a processor: computed for the tokens that have one, once for all that share it.

vLLM's own way (``PunicaWrapperCPU``) copies an adapter's matrices for each token, and gives tokens
that have none those of the last slot while it decodes (index -1). This one takes the rows of each
adapter together, and does nothing in a step without any.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms import current_platform
from vllm.v1.worker.cpu_worker import CPUWorker

Rows = Any
"""A slice, or a tensor of row numbers."""


class AdapterWorker(CPUWorker):  # type: ignore[misc]  # vllm is read as Any
    """vLLM's worker with the adapters of this module."""

    def load_model(self, *args: Any, **options: Any) -> None:
        """Name our wrapper where vLLM asks its platform for one."""
        name = f"{__name__}.{GroupedPunicaWrapper.__name__}"
        current_platform.get_punica_wrapper = lambda: name
        super().load_model(*args, **options)


class GroupedPunicaWrapper(PunicaWrapperCPU):  # type: ignore[misc]  # vllm is read as Any
    """What each layer calls to have its adapters added."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._tokens: list[tuple[int, Rows]] = []
        self._sampled: list[tuple[int, Rows]] = []

    def update_metadata(
        self,
        mapping: Any,
        lora_index_to_id: list[int | None],
        max_loras: int,
        vocab_size: int,
        **options: Any,
    ) -> None:
        """Note which rows of the coming step belong to which slot."""
        super().update_metadata(mapping, lora_index_to_id, max_loras, vocab_size, **options)
        slots = {number: slot for slot, number in enumerate(lora_index_to_id) if number}
        self._tokens = list(_rows_by_slot(mapping.index_mapping, slots))
        self._sampled = list(_rows_by_slot(mapping.prompt_mapping, slots))

    def add_lora_linear(  # noqa: PLR0917 - vLLM's
        self,
        y: Any,
        x: Any,
        lora_a_stacked: Sequence[Any],
        lora_b_stacked: Sequence[Any],
        scale: float,
        output_slices: Sequence[int],
        **_options: Any,
    ) -> None:
        """Add ``x @ a @ b`` of each slot to its rows of ``y``, in each slice of the outputs."""
        for slot, rows in self._tokens:
            inputs, end = x[rows], 0
            for a, b, size in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
                begin, end = end, end + size
                y[rows, begin:end] += inputs @ a[slot, 0].T @ b[slot, 0].T * scale

    def add_lora_embedding(
        self, y: Any, x: Any, lora_b_stacked: Any, add_inputs: bool = True, **_options: Any
    ) -> None:
        """The same for a layer whose ``x @ a`` was a look-up."""
        for slot, rows in self._tokens:
            y[rows] += x[rows] @ lora_b_stacked[slot, 0].T

    def add_lora_logits(  # noqa: PLR0917 - vLLM's
        self,
        y: Any,
        x: Any,
        lora_a_stacked: Any,
        lora_b_stacked: Any,
        scale: float,
        **_options: Any,
    ) -> None:
        """The same for the rows that a token is sampled from."""
        for slot, rows in self._sampled:
            delta = x[rows] @ lora_a_stacked[slot, 0].T @ lora_b_stacked[slot, 0].T * scale
            y[rows, : delta.shape[1]] += delta


def _rows_by_slot(numbers: Sequence[int], slots: dict[int, int]) -> Iterator[tuple[int, Rows]]:
    rows: dict[int, list[int]] = {}
    for row, number in enumerate(numbers):
        if number > 0:
            rows.setdefault(slots[number], []).append(row)
    for slot, found in rows.items():
        first, last = found[0], found[-1]
        together = last - first + 1 == len(found)
        yield slot, slice(first, last + 1) if together else found
