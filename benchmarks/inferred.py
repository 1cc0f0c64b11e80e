"""From which score on an inferred citation is right, measured on statements whose source is known.

SQuAD 2: a question with its answer is the statement. It is put to its paragraph and four others of
the same article, where the sentence with the answer is the right source; to the four others alone,
which are close but don't have it; and to five of other articles. That the passages don't say it is
put to those that do: such a sentence has no source. PubMedQA (optional): the sentences
of the conclusion of an abstract, in words of their own, are put to the rest of the abstract, and to
that of another. The default embedding model, the gateway's own alignment.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from groundmesh.models import DEFAULT_EMBEDDING_MODEL, resolve_model
from groundmesh.sentences import sentence_ends
from groundmesh_gateway.finding import Vector
from groundmesh_gateway.grounding import SentPassage
from groundmesh_gateway.grounding.alignment import Aligned, Aligner, source_sentences

WEIGHTS = (0.0, 0.3, 0.5, 0.7, 1.0)
"""Of the cosine."""
STATEMENTS = 300
PASSAGES = 5
KINDS = ("gold", "near", "far", "refusal", "own", "other")
FALSE_RATES = (0.01, 0.02, 0.05)


@dataclass(frozen=True)
class Case:
    """A statement and the passages that it is put to; ``is_right`` of None: none of them has it."""

    kind: str
    statement: str
    passages: Sequence[SentPassage]
    is_right: Callable[[Aligned], bool] | None


async def main(arguments: Sequence[str]) -> None:
    """Print what each weight and threshold gives."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks inferred", description=__doc__)
    parser.add_argument("squad", type=Path, help="SQuAD 2 as published (JSON)")
    parser.add_argument("pubmedqa", type=Path, nargs="?", help="PubMedQA's labelled part (JSON)")
    files = parser.parse_args(arguments)
    chance = random.Random(0)  # noqa: S311
    cases = list(_of_squad(json.loads(files.squad.read_text("utf-8"))["data"], chance))
    if files.pubmedqa:
        cases += _of_pubmedqa(json.loads(files.pubmedqa.read_text("utf-8")), chance)
    vectors = _vectors(cases)
    for weight in WEIGHTS:
        _print(weight, [(case, _aligned(case, vectors, weight)) for case in cases])


def _of_squad(articles: Sequence[Any], chance: random.Random) -> Iterator[Case]:
    asked = [
        (article, paragraph, question)
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
        if not question["is_impossible"] and len(article["paragraphs"]) >= PASSAGES
    ]
    for article, paragraph, question in chance.sample(asked, STATEMENTS):
        near = [each["context"] for each in article["paragraphs"] if each is not paragraph]
        near = chance.sample(near, PASSAGES - 1)
        others = [each for each in articles if each is not article]
        far = [chance.choice(each["paragraphs"])["context"] for each in chance.sample(others, 5)]
        answer = question["answers"][0]
        statement = f"{question['question'].rstrip('? ')}: {answer['text']}."
        at = answer["answer_start"]
        yield Case("gold", statement, _passages([paragraph["context"], *near]), _holds(at))
        yield Case("near", statement, _passages(near), None)
        refusal = f"The passages do not say {question['question'].rstrip('? ')}."
        yield Case("refusal", refusal, _passages([paragraph["context"], *near]), None)
        yield Case("far", statement, _passages(far), None)


def _of_pubmedqa(abstracts: Mapping[str, Any], chance: random.Random) -> Iterator[Case]:
    contexts = [abstract["CONTEXTS"] for abstract in abstracts.values()]
    for abstract in chance.sample(list(abstracts.values()), STATEMENTS // 3):
        other = chance.choice([each for each in contexts if each is not abstract["CONTEXTS"]])
        conclusion, start = abstract["LONG_ANSWER"], 0
        for end in [*sentence_ends(conclusion), len(conclusion)]:
            statement, start = conclusion[start:end].strip(), end
            if statement:
                yield Case("own", statement, _passages(abstract["CONTEXTS"]), lambda _: True)
                yield Case("other", statement, _passages(other), None)


def _passages(texts: Sequence[str]) -> Sequence[SentPassage]:
    return [SentPassage(number, text, 0, 0) for number, text in enumerate(texts, 1)]


def _holds(at: int) -> Callable[[Aligned], bool]:
    def is_right(aligned: Aligned) -> bool:
        source = aligned.source
        return source.passage.number == 1 and source.start <= at < source.end

    return is_right


def _vectors(cases: Sequence[Case]) -> Mapping[str, Vector]:
    texts = {case.statement for case in cases}
    texts.update(source.text for case in cases for source in source_sentences(case.passages))
    ordered = sorted(texts)
    model = SentenceTransformer(
        resolve_model(DEFAULT_EMBEDDING_MODEL).path, model_kwargs={"dtype": "bfloat16"}
    )
    rows = model.encode(ordered, batch_size=128, show_progress_bar=False)
    return dict(zip(ordered, rows.tolist(), strict=True))


def _aligned(case: Case, vectors: Mapping[str, Vector], weight: float) -> Aligned | None:
    sources = list(source_sentences(case.passages))
    aligner = Aligner(sources, [vectors[each.text] for each in sources], cosine_weight=weight)
    return aligner.best(case.statement, vectors[case.statement])


def _print(weight: float, results: Sequence[tuple[Case, Aligned | None]]) -> None:
    """For thresholds with a given rate of false citations, and for round ones: what is cited."""
    table = Table("score", "gold: cited", "right", *KINDS[1:])
    far = sorted(
        (aligned.score for case, aligned in results if case.kind == "far" and aligned),
        reverse=True,
    )
    thresholds = [far[int(rate * len(far))] for rate in FALSE_RATES] + [
        hundredths / 100 for hundredths in range(30, 80, 5)
    ]
    for threshold in sorted(thresholds):
        table.add_row(f"{threshold:.3f}", *_rates(results, threshold))
    console = Console()
    console.print(f"weight of the cosine {weight:g}, {len(far)} statements")
    console.print(table)


def _rates(results: Sequence[tuple[Case, Aligned | None]], threshold: float) -> Iterator[str]:
    for kind in KINDS:
        of_kind = [each for each in results if each[0].kind == kind]
        cited = [each for each in of_kind if each[1] and each[1].score >= threshold]
        yield f"{len(cited) / max(1, len(of_kind)):.3f}"
        if kind == "gold":
            right = [case for case, best in cited if case.is_right and best and case.is_right(best)]
            yield f"{len(right) / max(1, len(cited)):.3f}"
