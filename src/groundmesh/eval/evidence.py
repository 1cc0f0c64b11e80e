"""Telling questions that belong to a collection from others, by the nearest passage alone."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from groundmesh.client import Calibration, Client, Filter, Retrieval
from groundmesh.errors import InvalidArgument, MeshError
from groundmesh.eval.questions import Question, QuestionSet
from groundmesh.eval.sample import halves, hiding, shuffled

_NONE_FOUND = -1.0
_DIGITS = 10_000
PASSAGES = 5
"""What an answer without options is made from."""
_ENOUGH = 20
"""Fewer questions of a kind say nothing about a share of some per cent."""


@dataclass(frozen=True)
class Probe:
    """A question to search for, and whether what is left of the collection answers it."""

    question: Question
    belongs: bool
    filter: Filter | None


@dataclass(frozen=True)
class Probing:
    """How the searches are made."""

    collection: str
    concurrency: int
    timeout_s: float


def probes(dataset: QuestionSet, *, limit: int, seed: int) -> list[Probe]:
    """``limit`` questions, each with half of the articles hidden: once its own, once the others.

    So each belongs once and once does not. Where no articles can be hidden, questions that are
    marked as impossible are those that don't belong.
    """
    if len(dataset.articles) > 1:
        return list(_by_halves(dataset, limit, seed))
    return [
        Probe(each, each.is_answerable, None) for each in shuffled(dataset.questions, seed)[:limit]
    ]


def _by_halves(dataset: QuestionSet, limit: int, seed: int) -> Iterator[Probe]:
    one, other = halves(dataset.articles, seed)
    answerable = [each for each in dataset.questions if each.is_answerable and each.article]
    for question in shuffled(answerable, seed)[:limit]:
        own, far = (one, other) if question.article in one else (other, one)
        yield Probe(question, belongs=True, filter=hiding(far))
        yield Probe(question, belongs=False, filter=hiding(own))


def calibration(
    belonging: Sequence[float], others: Sequence[float], *, max_refusals: float
) -> Calibration:
    """The largest bound that refuses at most that share of belonging questions."""
    for values, what in ((belonging, "belong to"), (others, "don't belong to")):
        if len(values) < _ENOUGH:
            raise InvalidArgument(
                f"{len(values)} questions {what} the collection: at least {_ENOUGH} are needed"
            )
    ours, theirs = np.sort(belonging), np.asarray(others)
    # Rounded down, so that what is refused stays within the bound.
    bound = math.floor(ours[int(max_refusals * len(ours))] * _DIGITS) / _DIGITS
    return Calibration(
        min_evidence=bound,
        auc=auc(belonging, others),
        false_refusal_rate=float((ours < bound).mean()),
        false_answer_rate=float((theirs >= bound).mean()),
        answerable_questions=len(ours),
        unanswerable_questions=len(theirs),
    )


def auc(belonging: Sequence[float], others: Sequence[float]) -> float:
    """How often a belonging question has more evidence than another; equal evidence is half."""
    theirs = np.sort(others)
    below = np.searchsorted(theirs, belonging, side="left")
    up_to = np.searchsorted(theirs, belonging, side="right")
    return float((below + up_to).sum() / 2 / (len(belonging) * len(others)))


async def probe_all(
    mesh: Client,
    wanted: Sequence[Probe],
    how: Probing,
    *,
    on_done: Callable[[], object] = lambda: None,
) -> list[float]:
    """The evidence of each, by the search that a question without options makes."""
    found = [_NONE_FOUND] * len(wanted)
    waiting = iter(enumerate(wanted))

    async def work() -> None:
        for index, each in waiting:
            found[index] = await _evidence(mesh, each, how)
            on_done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(how.concurrency):
                group.create_task(work())
    except* MeshError as failed:
        raise failed.exceptions[0] from None
    return found


async def _evidence(mesh: Client, probe: Probe, how: Probing) -> float:
    result = await mesh.search(
        probe.question.text,
        collection=how.collection,
        retrieval=Retrieval(limit=PASSAGES, filter=probe.filter),
        timeout_s=how.timeout_s,
    )
    near = [each.dense_score for each in result.passages if each.dense_score is not None]
    return max(near, default=_NONE_FOUND)
