"""What counts for which measure, on answers made by hand."""

import json
from dataclasses import replace
from typing import Any

import pytest

from groundmesh.client import (
    Abstention,
    Answer,
    Chunk,
    Citation,
    CitationKind,
    Coverage,
    Final,
    FinishReason,
    Passage,
    Place,
    SearchMode,
    Source,
    Usage,
)
from groundmesh.eval.answer_report import AnswerReport
from groundmesh.eval.answering import Record
from groundmesh.eval.questions import Question
from groundmesh.eval.sample import Kind, Put

GOLD, OTHER = "squad:a/0", "squad:a/1"
FINAL = Final(
    abstained=False,
    model="m",
    finish_reason=FinishReason.STOP,
    usage=Usage(10, 5, 0),
    timings_ms={"total": 8.0},
    removed_citations=0,
    mode=SearchMode.HYBRID,
    degraded=(),
    evidence=0.61234567,
    coverage=Coverage(sentences=2, cited=1, verbatim=0, marker=1, inferred=0),
    template="default@1",
)


def source(number: int, uri: str) -> Source:
    chunk = Chunk("c", "d", 0, "text", 0, 4, Place(), 1)
    return Source(number, Passage(chunk, uri, "A", 0.5, 0.5, None), truncated=False)


def answer(text: str = "Paris [1].", *, cites: tuple[int, ...] = (1,), **final: Any) -> Answer:
    citations = tuple(
        Citation(CitationKind.MARKER, number, "text", 0, 4, 0, 5, None) for number in cites
    )
    sources = (source(1, GOLD), source(2, OTHER))
    return Answer("Where?", text, sources, citations, replace(FINAL, **final))


def refused(why: Abstention = Abstention.MODEL) -> Answer:
    model = "m" if why is Abstention.MODEL else ""
    said = "The passages do not say."
    return answer(said, cites=(), abstained=True, abstention=why, model=model)


def record(kind: Kind, given: Answer | None, *, found: tuple[str, ...] = (OTHER, GOLD)) -> Record:
    golds = () if kind is Kind.IMPOSSIBLE else ("Paris", "in Paris")
    put = Put(Question(f"{kind}-{id(given)}", "Where?", golds, GOLD, "a"), kind)
    return Record(put, given, found, "" if given else "away (UNAVAILABLE)", 100.0, 400.0)


def means(*records: Record) -> dict[str, float]:
    report = AnswerReport.of("d", {}, records)
    return {name: each.mean for name, each in report.measures.items()}


def test_a_right_answer_that_cites_its_passage() -> None:
    assert means(record(Kind.ANSWERABLE, answer())) == {
        "exact": 1.0,
        "f1": 1.0,
        "exact_answerable": 1.0,
        "f1_answerable": 1.0,
        "contains_answerable": 1.0,
        "hit@5": 1.0,
        "citation_precision": 1.0,
        "citation_recall": 1.0,
        "false_refusals": 0.0,
    }


def test_a_refusal_of_an_answerable_question_is_worth_nothing() -> None:
    found = means(record(Kind.ANSWERABLE, refused()), record(Kind.ANSWERABLE, answer()))
    assert found["exact"] == found["f1"] == found["contains_answerable"] == 0.5
    assert found["false_refusals"] == 0.5
    assert found["citation_recall"] == 1.0  # of those that were answered


def test_refusing_what_has_no_answer_is_right() -> None:
    found = means(
        record(Kind.IMPOSSIBLE, refused(Abstention.LOW_EVIDENCE)),
        record(Kind.IMPOSSIBLE, answer()),
        record(Kind.ELSEWHERE, refused()),
    )
    assert found["exact"] == found["f1"] == 0.5
    assert found["false_answers_impossible"] == 0.5
    assert found["false_answers_elsewhere"] == 0.0
    assert "false_refusals" not in found


def test_hidden_questions_count_for_nothing_but_their_own_measure() -> None:
    assert means(record(Kind.ELSEWHERE, answer())) == {"false_answers_elsewhere": 1.0}


def test_citations_are_held_against_the_gold_passage() -> None:
    found = means(
        record(Kind.ANSWERABLE, answer(cites=(1, 2, 2, 2))),
        record(Kind.ANSWERABLE, answer(cites=(2,))),
        record(Kind.ANSWERABLE, answer(cites=())),
    )
    assert found["citation_precision"] == pytest.approx((0.25 + 0) / 2)
    assert found["citation_recall"] == pytest.approx(1 / 3)


def test_a_passage_that_was_not_found_is_a_miss() -> None:
    assert means(record(Kind.ANSWERABLE, answer(), found=(OTHER,)))["hit@5"] == 0.0


def test_failed_questions_count_for_no_measure_but_are_told() -> None:
    report = AnswerReport.of(
        "d", {"seed": 0}, [record(Kind.ANSWERABLE, None), record(Kind.ANSWERABLE, answer())]
    )
    shown: Any = report.as_json()
    assert shown["scores"]["errors"] == 1
    assert shown["scores"]["exact"] == 1.0
    assert json.loads(next(iter(report.lines())))["error"] == "away (UNAVAILABLE)"


def test_what_a_second_run_can_not_repeat_stands_apart() -> None:
    asked = record(Kind.ANSWERABLE, answer())
    later = replace(asked, first_ms=7.0, total_ms=8.0)
    one, other = (AnswerReport.of("d", {}, [each]) for each in (asked, later))
    assert [*one.lines()] == [*other.lines()]
    assert one.as_json()["scores"] == other.as_json()["scores"]
    assert [*one.time_lines()] != [*other.time_lines()]
    (line,) = map(json.loads, one.lines())
    assert line["evidence"] == 0.6123
    assert line["citations"][0]["uri"] == GOLD


def test_times_are_of_questions_that_a_model_was_asked() -> None:
    report = AnswerReport.of(
        "d",
        {},
        [
            record(Kind.ANSWERABLE, answer()),
            replace(record(Kind.ANSWERABLE, refused(Abstention.LOW_EVIDENCE)), first_ms=1.0),
        ],
    )
    assert report.times_ms()["first_text"] == {"p50": 100.0, "p99": 100.0}
    assert report.refusals() == {"low_evidence": 1}
    assert "| f1 | 0.500 |" in report.markdown()
    assert "- low_evidence: 1" in report.markdown()
