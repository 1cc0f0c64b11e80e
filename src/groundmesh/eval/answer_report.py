"""A report on answers: as JSON, as Markdown, and every answer as a line of its own.

What a second run gives again and what it can't (times) stand apart: ``answers.jsonl`` and the
``scores`` of ``report.json`` are to be the same to the byte.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from groundmesh.client import Answer, Citation, CitationKind
from groundmesh.eval.answer_scores import MEANINGS, coverage, measures, percentiles, score
from groundmesh.eval.answering import Record
from groundmesh.eval.metrics import Measured

_DIGITS = 4


@dataclass(frozen=True)
class AnswerReport:
    """What an evaluation of answers found."""

    dataset: str
    settings: Mapping[str, object]
    """How the questions were put."""
    records: Sequence[Record]
    measures: Mapping[str, Measured]

    @classmethod
    def of(
        cls, dataset: str, settings: Mapping[str, object], records: Sequence[Record]
    ) -> "AnswerReport":
        """Measure what the questions came to."""
        return cls(dataset, settings, records, measures(records))

    @property
    def errors(self) -> int:
        """Questions that failed; they count for no measure."""
        return sum(record.answer is None for record in self.records)

    def as_json(self) -> dict[str, object]:
        """All but the answers; every number rounded to what it can mean."""
        return {
            "dataset": self.dataset,
            "settings": dict(self.settings),
            "scores": self._scores(),
            "times_ms": self.times_ms(),
        }

    def times_ms(self) -> dict[str, dict[str, float]]:
        """Of the questions that a model was asked: to the first text, and in all."""
        asked = [record for record in self.records if record.asked_model]
        return {
            "first_text": percentiles([record.first_ms for record in asked]),
            "whole": percentiles([record.total_ms for record in asked]),
        }

    def lines(self) -> Iterator[str]:
        """Every question with its answer, as JSON Lines."""
        for record in self.records:
            yield json.dumps(_line(record), ensure_ascii=False)

    def time_lines(self) -> Iterator[str]:
        """How long each took, as JSON Lines."""
        for record in self.records:
            stages = record.answer.final.timings_ms if record.answer else {}
            row = {
                "id": record.put.question.id,
                "kind": record.put.kind.value,
                "first_text_ms": round(record.first_ms, 1),
                "whole_ms": round(record.total_ms, 1),
                "stages_ms": {name: round(took, 1) for name, took in stages.items()},
            }
            yield json.dumps(row)

    def markdown(self) -> str:
        """For people."""
        return "\n".join((*self._head(), *self._table(), *self._rest())) + "\n"

    def _scores(self) -> dict[str, object]:
        return {
            "questions": self.kinds(),
            "errors": self.errors,
            "refused": self.refusals(),
            **{name: round(each.mean, _DIGITS) for name, each in self.measures.items()},
            "ci95": {
                name: [round(each.low, _DIGITS), round(each.high, _DIGITS)]
                for name, each in self.measures.items()
            },
            "coverage": coverage(self.records),
        }

    def kinds(self) -> dict[str, int]:
        """How many questions of each kind."""
        return dict(Counter(record.put.kind.value for record in self.records))

    def refusals(self) -> dict[str, int]:
        """How many were refused, by the reason."""
        why = [
            str(record.answer.final.abstention).lower()
            for record in self.records
            if record.answer is not None and record.is_refused
        ]
        return dict(sorted(Counter(why).items()))

    def _head(self) -> Iterator[str]:
        yield f"# Answers: {self.dataset}\n"
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds().items())
        yield f"{len(self.records)} questions: {kinds}; {self.errors} failed.\n"
        yield from (f"- {name}: {value}" for name, value in self.settings.items())

    def _table(self) -> Iterator[str]:
        yield "\n| measure | value | 95 % | what it is |\n| --- | ---: | --- | --- |"
        for name, each in self.measures.items():
            interval = f"{each.low:.3f}-{each.high:.3f}"
            yield f"| {name} | {each.mean:.3f} | {interval} | {MEANINGS[name]} |"

    def _rest(self) -> Iterator[str]:
        covered = coverage(self.records)
        yield "\n## Citations\n"
        yield "| sentences with | of all | share |\n| --- | ---: | ---: |"
        for kind, count in covered.items():
            share = count / max(1, covered["sentences"])
            yield f"| {'any text' if kind == 'sentences' else kind} | {count} | {share:.3f} |"
        yield "\n## Refusals\n"
        yield from (f"- {why}: {count}" for why, count in self.refusals().items())
        yield "\n## Times\n\nOf the questions that a model was asked.\n"
        for name, found in self.times_ms().items():
            yield f"- {name}: " + ", ".join(f"{key} {ms:.0f} ms" for key, ms in found.items())


def _line(record: Record) -> dict[str, object]:
    question = record.put.question
    line: dict[str, object] = {
        "id": question.id,
        "kind": record.put.kind.value,
        "question": question.text,
        "golds": list(record.put.golds),
        "gold_uri": question.gold,
    }
    if record.answer is None:
        return {**line, "error": record.error}
    return {**line, **_answer_json(record.answer), **asdict(score(record))}


def _answer_json(answer: Answer) -> dict[str, object]:
    final = answer.final
    uris = {source.number: source.passage.uri for source in answer.sources}
    return {
        "answer": answer.text,
        "abstention": final.abstention and final.abstention.value,
        "evidence": None if final.evidence is None else round(final.evidence, _DIGITS),
        "model": final.model,
        "template": final.template,
        "finish_reason": final.finish_reason.value,
        "sources": [
            {"number": each.number, "uri": each.passage.uri, "text": each.passage.chunk.text}
            for each in answer.sources
        ],
        "citations": [_citation_json(each, uris) for each in answer.citations],
        "removed_citations": final.removed_citations,
        "coverage": asdict(final.coverage),
        "completion_tokens": final.usage.completion_tokens,
        "degraded": list(final.degraded),
    }


def _citation_json(citation: Citation, uris: Mapping[int, str]) -> dict[str, object]:
    scored = citation.score is not None and citation.kind is CitationKind.INFERRED
    return {
        **asdict(citation),
        "kind": citation.kind.value,
        "uri": uris.get(citation.source, ""),
        "score": round(citation.score or 0.0, _DIGITS) if scored else None,
    }
