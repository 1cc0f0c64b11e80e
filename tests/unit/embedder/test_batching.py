"""How a round is cut into batches."""

from hypothesis import given
from hypothesis import strategies as st

from groundmesh_embedder.batching import ALL_ALIKE_TOKENS, cut
from groundmesh_embedder.fair_queue import Entry
from tests.unit.embedder.calls import Lengths, call, inputs

LENGTHS = st.lists(st.integers(1, 8192), min_size=1, max_size=60)


def entries(lengths: list[int]) -> list[Entry]:
    return list(call(lengths).waiting)


@given(LENGTHS)
def test_nothing_is_lost_and_at_most_half_of_a_batch_is_padding(lengths: list[int]) -> None:
    batches = cut(entries(lengths))
    assert sorted(entry.tokens for batch in batches for entry in batch) == sorted(lengths)
    for batch in batches:
        longest = max(entry.tokens for entry in batch)
        assert longest <= 2 * max(min(entry.tokens for entry in batch), ALL_ALIKE_TOKENS)


@given(LENGTHS)
def test_the_shortest_run_first_in_few_batches(lengths: list[int]) -> None:
    batches = cut(entries(lengths))
    longest = [max(entry.tokens for entry in batch) for batch in batches]
    assert longest == sorted(longest)
    assert len(batches) <= 10


def test_two_models_never_share_a_batch() -> None:
    one, other = call([5, 5], runner=Lengths()), call([5, 5], runner=Lengths())
    batches = cut([*one.waiting, *other.waiting])
    assert [len({id(entry.call.runner) for entry in batch}) for batch in batches] == [1, 1]


def test_two_groups_of_one_model_never_share_a_batch() -> None:
    mixed = call([5])
    round_ = [
        Entry(mixed, index, encoded)
        for index, encoded in enumerate(inputs([5], group="query") + inputs([5], group="passage"))
    ]
    assert len(cut(round_)) == 2
