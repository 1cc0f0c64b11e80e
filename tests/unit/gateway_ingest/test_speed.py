"""Rates over the last seconds."""

from groundmesh_gateway.ingestion.speed import WINDOW_S, Speedometer


def test_rates_are_those_of_the_last_seconds() -> None:
    speed = Speedometer(100.0, 0, 0)
    assert speed.rates(100.0, 0, 0) == (0.0, 0.0)
    assert speed.rates(102.0, 10, 200) == (5.0, 100.0)
    for second in range(3, 60):  # nothing happens any more
        rates = speed.rates(100.0 + second, 10, 200)
    assert rates == (0.0, 0.0)
    assert speed.rates(161.0, 10 + 5 * round(WINDOW_S), 200)[0] > 0


def test_what_is_taken_back_is_no_negative_speed() -> None:
    speed = Speedometer(0.0, 0)
    speed.rates(1.0, 50)
    assert speed.rates(2.0, 0) == (0.0,)
