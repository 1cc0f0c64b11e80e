"""Bounds of evidence, and what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundmesh.errors import InvalidArgument
from groundmesh.eval.evidence import auc, calibration, probes
from groundmesh.eval.sample import hiding
from tests.unit.eval.test_questions import many

COSINES = st.lists(st.floats(-1, 1, width=32), min_size=20, max_size=60)


@pytest.mark.parametrize(
    ("belonging", "others", "area"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1], [0.9], 0.0),
        ([0.5], [0.5], 0.5),
        ([0.9, 0.3], [0.5], 0.5),
        ([0.9, 0.5, 0.3], [0.5, 0.1], (2 + 1.5 + 1) / 6),
    ],
)
def test_the_area_under_the_curve(belonging: list[float], others: list[float], area: float) -> None:
    assert auc(belonging, others) == pytest.approx(area)


@given(COSINES, COSINES)
def test_the_other_way_round_the_area_is_the_rest(one: list[float], other: list[float]) -> None:
    assert auc(one, other) == pytest.approx(1 - auc(other, one))


@given(COSINES, COSINES, st.sampled_from([0.0, 0.05, 0.2, 0.5]))
def test_a_bound_refuses_no_more_than_it_may_and_is_as_high_as_can_be(
    belonging: list[float], others: list[float], most: float
) -> None:
    found = calibration(belonging, others, max_refusals=most)
    assert found.false_refusal_rate <= most
    # One of our digits higher, and it would refuse one question more than that.
    higher = sum(near < found.min_evidence + 0.0002 for near in belonging)
    assert higher > int(most * len(belonging))
    answered = sum(near >= found.min_evidence for near in others)
    assert found.false_answer_rate == pytest.approx(answered / len(others))
    assert (found.answerable_questions, found.unanswerable_questions) == (
        len(belonging),
        len(others),
    )


def test_too_few_questions_say_nothing() -> None:
    with pytest.raises(InvalidArgument, match="3 questions don't belong"):
        calibration([0.5] * 30, [0.1] * 3, max_refusals=0.05)


def test_every_question_is_put_once_with_its_half_and_once_without() -> None:
    dataset = many(articles=4, each=20)
    found = probes(dataset, limit=12, seed=0)
    assert len(found) == 24
    for own, far in zip(found[::2], found[1::2], strict=True):
        assert own.question == far.question
        assert own.question.is_answerable
        assert (own.belongs, far.belongs) == (True, False)
        hidden = [set(each.filter.filters[0].values) for each in (own, far)]  # type: ignore[union-attr]
        assert own.question.article in hidden[1]
        assert hidden[0] | hidden[1] == set(dataset.articles)
        assert not hidden[0] & hidden[1]


def test_where_no_article_can_be_hidden_impossible_questions_are_the_others() -> None:
    found = probes(many(articles=1, each=20), limit=20, seed=0)
    assert {probe.filter for probe in found} == {None}
    assert sum(probe.belongs for probe in found) == 10
    assert hiding(["a"]).filters
