"""What the gateway's benchmark holds against its goals."""

from benchmarks.gateway import rows
from benchmarks.gateway_callers import Samples

DIRECT = Samples(first=[0.050] * 100, between=[0.020] * 1000)


def met(gateway: Samples) -> list[bool]:
    return [row.is_met for row in rows(8, DIRECT, gateway)]


def test_a_price_within_the_goals_passes() -> None:
    gateway = Samples(first=[0.054] * 94 + [0.064] * 6, between=[0.020] * 980 + [0.0219] * 20)
    assert met(gateway) == [True, True, True]


def test_each_goal_can_be_missed_alone() -> None:
    slow, fine = [0.056] * 100, [0.052] * 100
    assert met(Samples(slow, DIRECT.between)) == [False, True, True]
    assert met(Samples([*fine[:90], *[0.070] * 10], DIRECT.between)) == [True, False, True]
    jerky = [0.020] * 980 + [0.023] * 20
    assert met(Samples(fine, jerky)) == [True, True, False]
