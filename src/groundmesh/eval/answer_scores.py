"""What answers are worth: each against its golds, and all together with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from groundmesh.client import Answer, Coverage
from groundmesh.eval import squad
from groundmesh.eval.answering import Record
from groundmesh.eval.metrics import Measured, mean_of
from groundmesh.eval.sample import Kind


@dataclass(frozen=True)
class Score:
    """One answer against what is right for its question."""

    exact: float
    f1: float
    contains: float
    """Whether a gold answer stands in it; 1 for a right refusal."""
    hit: float | None
    """Whether the gold passage was found; None where there is none to find."""
    cited_gold: float | None
    """The share of its citations that are of the gold passage; None: it has none."""


Pick = Callable[[Record, Score], float | None]
"""What a measure is the mean of; None where the answer does not count for it."""


def score(record: Record) -> Score:
    """An answer's; a refusal counts as an empty answer, which is right where there is no gold."""
    golds = record.put.golds
    given = _given(record.answer)
    is_right = float(not golds and not given)
    gold = record.put.question.gold if record.put.kind is not Kind.ELSEWHERE else ""
    return Score(
        exact=squad.exact(given, golds),
        f1=squad.f1(given, golds),
        contains=squad.contains(given, golds) if golds else is_right,
        hit=float(gold in record.found) if gold else None,
        cited_gold=_cited_gold(record.answer, gold) if gold else None,
    )


def _given(answer: Answer | None) -> str:
    return "" if answer is None or answer.final.abstained else squad.prediction(answer.text)


def _cited_gold(answer: Answer | None, gold: str) -> float | None:
    if answer is None or not answer.citations:
        return None
    uris = {source.number: source.passage.uri for source in answer.sources}
    return float(np.mean([uris.get(each.source) == gold for each in answer.citations]))


def _plain(pick: Pick) -> Pick:
    """Of the data set's own questions, hidden ones left out."""
    return lambda record, of: None if record.put.kind is Kind.ELSEWHERE else pick(record, of)


def _of(kind: Kind, pick: Pick) -> Pick:
    return lambda record, of: pick(record, of) if record.put.kind is kind else None


MEASURES: Mapping[str, Pick] = {
    "exact": _plain(lambda _, of: of.exact),
    "f1": _plain(lambda _, of: of.f1),
    "exact_answerable": _of(Kind.ANSWERABLE, lambda _, of: of.exact),
    "f1_answerable": _of(Kind.ANSWERABLE, lambda _, of: of.f1),
    "contains_answerable": _of(Kind.ANSWERABLE, lambda _, of: of.contains),
    "hit@5": _of(Kind.ANSWERABLE, lambda _, of: of.hit),
    "citation_precision": _of(Kind.ANSWERABLE, lambda _, of: of.cited_gold),
    "citation_recall": _of(
        Kind.ANSWERABLE,
        lambda record, of: None if record.is_refused else float(bool(of.cited_gold)),
    ),
    "false_refusals": _of(Kind.ANSWERABLE, lambda record, _: float(record.is_refused)),
    "false_answers_impossible": _of(
        Kind.IMPOSSIBLE, lambda record, _: float(not record.is_refused)
    ),
    "false_answers_elsewhere": _of(Kind.ELSEWHERE, lambda record, _: float(not record.is_refused)),
}
"""Each measure, and what it is the mean of. Failed questions count for none."""

MEANINGS: Mapping[str, str] = {
    "exact": "exact match, of the data set's own questions; a refusal is an empty answer",
    "f1": "token F1, likewise",
    "exact_answerable": "exact match, of answerable ones",
    "f1_answerable": "token F1, of answerable ones",
    "contains_answerable": "a gold answer stands in the answer, of answerable ones",
    "hit@5": "the gold passage is among the best five, of answerable ones",
    "citation_precision": "share of an answer's citations that are of the gold passage",
    "citation_recall": "answers that cite the gold passage, of answerable ones that were answered",
    "false_refusals": "answerable ones that were refused",
    "false_answers_impossible": "impossible ones that were answered",
    "false_answers_elsewhere": "ones about another subject that were answered",
}
"""Each measure in words."""


def measures(records: Sequence[Record]) -> dict[str, Measured]:
    """Every measure that something counts for."""
    scored = [(record, score(record)) for record in records if record.answer is not None]
    found = {}
    for name, pick in MEASURES.items():
        values = [value for pair in scored if (value := pick(*pair)) is not None]
        if values:
            found[name] = mean_of(values)
    return found


def coverage(records: Sequence[Record]) -> dict[str, int]:
    """The sentences of all answers, and those with a citation of each kind."""
    answers = [record.answer for record in records if record.answer and not record.is_refused]
    return {
        part.name: sum(getattr(answer.final.coverage, part.name) for answer in answers)
        for part in fields(Coverage)
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The median and the 99th percentile; nothing of nothing."""
    if not values:
        return {}
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1)}
