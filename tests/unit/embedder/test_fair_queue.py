"""Who runs next."""

from hypothesis import given
from hypothesis import strategies as st

from groundmesh_embedder.fair_queue import BULK_SHARE, Call, FairQueue, Lane
from tests.unit.embedder.calls import call, inputs

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=30)


def queue(*calls: Call) -> FairQueue:
    queue = FairQueue(max_items=10_000, max_tokens=1_000_000)
    for each in calls:
        queue.add(each)
    return queue


@given(
    st.lists(st.tuples(LENGTHS, st.sampled_from(Lane)), min_size=1, max_size=8),
    st.integers(1, 2000),
)
def test_every_entry_is_taken_once_and_the_counts_are_true(
    calls: list[tuple[list[int], Lane]], budget: int
) -> None:
    waiting = [call(lengths, lane) for lengths, lane in calls]
    waits = queue(*waiting)
    taken = []
    while waits:
        before = waits.tokens
        round_ = waits.take(budget)
        assert round_
        assert before - waits.tokens == sum(entry.tokens for entry in round_)
        taken += [(id(entry.call), entry.index) for entry in round_]
    assert waits.items == waits.tokens == 0
    assert sorted(taken) == sorted(
        (id(each), index) for each in waiting for index in range(len(each.inputs))
    )


@given(LENGTHS, LENGTHS, st.integers(1, 1000))
def test_a_round_overshoots_by_one_entry_of_each_lane_at_most(
    interactive: list[int], bulk: list[int], budget: int
) -> None:
    round_ = queue(call(interactive), call(bulk, Lane.BULK)).take(budget)
    longest = max(interactive) + max(bulk)
    assert sum(entry.tokens for entry in round_) <= budget + longest + budget // BULK_SHARE


def test_a_small_call_runs_in_the_round_after_it_came_however_much_is_before_it() -> None:
    small = call([10])
    waits = queue(call([100] * 1000), call([100] * 1000), small)
    assert small in {entry.call for entry in waits.take(500)}


def test_interactive_goes_first_and_bulk_still_moves() -> None:
    bulk = call([100] * 10, Lane.BULK)
    waits = queue(bulk, call([100] * 100))
    round_ = waits.take(800)
    assert [entry.call is bulk for entry in round_] == [False] * 7 + [True]


def test_bulk_gets_all_when_alone() -> None:
    waits = queue(call([100] * 10, Lane.BULK))
    assert len(waits.take(800)) == 8


def test_an_input_longer_than_a_round_runs_too() -> None:
    waits = queue(call([5000]), call([5000], Lane.BULK))
    assert len(waits.take(100)) == 2


def test_a_call_gives_its_longest_first_so_that_batches_are_alike() -> None:
    assert [entry.tokens for entry in queue(call([3, 200, 7, 190])).take(390)] == [200, 190]


def test_what_is_discarded_makes_room_at_once() -> None:
    gone, other = call([10, 20, 30]), call([5])
    waits = queue(gone, other)
    waits.take(1)
    waits.discard(gone)
    waits.discard(gone)
    assert (waits.items, waits.tokens) == (1, 5)
    assert [entry.call for entry in waits.take(100)] == [other]


def test_is_bounded_by_items_and_by_tokens_but_takes_any_call_when_empty() -> None:
    waits = FairQueue(max_items=3, max_tokens=100)
    assert waits.fits(inputs([500]))
    waits.add(call([50, 20]))
    assert waits.fits(inputs([30]))
    assert not waits.fits(inputs([31]))
    assert not waits.fits(inputs([1, 1]))
    assert not waits.full
    waits.add(call([30]))
    assert waits.full
