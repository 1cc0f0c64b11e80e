"""The gateway's memory while a hundred thousand chunks go through it."""

import pytest

from benchmarks.ingest_memory import MARKS, SHAPES, measure

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

_MIB = 1 << 20


@pytest.mark.parametrize("shape", ["abstracts", "reports"])
async def test_memory_is_flat_from_the_first_chunks_to_the_last(shape: str) -> None:
    first, *later = await measure(SHAPES[shape], marks=MARKS)
    assert max(level.most for level in later) - first.rss < 100 * _MIB


async def test_one_long_document_costs_a_few_times_its_text() -> None:
    *_, last = await measure(SHAPES["one document"], marks=(50_000,))
    assert last.most < 300 * _MIB
