"""What is expected of an engine, from what it did."""

from hypothesis import given
from hypothesis import strategies as st

from groundmesh_generator.pace import HEADROOM, LEAST_TOKENS, Pace

READINGS = st.lists(
    st.tuples(st.integers(1, 5000), st.floats(0.001, 100, allow_nan=False)), min_size=1, max_size=30
)


def test_without_a_reading_nothing_is_expected() -> None:
    pace = Pace()
    assert (pace.expected_s(10_000), pace.least_s(10_000), pace.tokens_per_s) == (0, 0, 0)


@given(READINGS, st.integers(0, 100_000))
def test_the_least_is_less_than_any_reading_took(
    readings: list[tuple[int, float]], tokens: int
) -> None:
    pace = Pace()
    for read, seconds in readings:
        pace.learn_one(tokens=read, seconds=seconds)
    for read, seconds in readings:
        if read >= LEAST_TOKENS:
            assert pace.least_s(read) <= seconds / HEADROOM * 1.000001
    assert pace.least_s(tokens) <= pace.least_s(tokens + 1)


@given(READINGS)
def test_what_is_expected_lies_between_the_slowest_and_the_fastest(
    readings: list[tuple[int, float]],
) -> None:
    pace = Pace()
    for read, seconds in readings:
        pace.learn_flow(tokens=read, seconds=seconds)
    speeds = [read / seconds for read, seconds in readings]
    assert min(speeds) * 0.999999 <= pace.tokens_per_s <= max(speeds) * 1.000001


@given(READINGS, st.integers(1, 1000), st.floats(0.01, 10))
def test_a_change_of_speed_is_learned_within_some_readings(
    readings: list[tuple[int, float]], tokens: int, seconds: float
) -> None:
    pace = Pace()
    for read, took in readings:
        pace.learn_flow(tokens=read, seconds=took)
    for _ in range(200):
        pace.learn_flow(tokens=tokens, seconds=seconds)
    assert abs(pace.tokens_per_s * seconds / tokens - 1) < 0.01


def test_prompts_of_one_step_count_together() -> None:
    pace = Pace()
    pace.learn_flow(tokens=50, seconds=0.1)
    pace.learn_flow(tokens=50, seconds=0)
    assert 1000 < pace.tokens_per_s < 1100


def test_short_readings_say_nothing_of_the_best() -> None:
    pace = Pace()
    pace.learn_one(tokens=LEAST_TOKENS - 1, seconds=0.001)
    assert pace.least_s(1000) == 0
