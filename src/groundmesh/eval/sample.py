"""Which questions are put, and how: always the same ones for the same data set, seed and size."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from groundmesh.client import Compare, NoneOf, Operator
from groundmesh.eval.questions import ARTICLE, Question, QuestionSet

_ELSEWHERE_SHARE = 5
"""One in so many questions is put to the collection without its own article."""


class Kind(StrEnum):
    """What is right for a question."""

    ANSWERABLE = "answerable"
    IMPOSSIBLE = "impossible"
    """Its paragraph is there and does not answer it."""
    ELSEWHERE = "elsewhere"
    """The article that answers it is hidden: for what is left, it is about another subject."""


@dataclass(frozen=True)
class Put:
    """A question as it is put."""

    question: Question
    kind: Kind

    @property
    def golds(self) -> tuple[str, ...]:
        """What is right; nothing: to refuse it."""
        return self.question.answers if self.kind is Kind.ANSWERABLE else ()

    @property
    def hidden(self) -> NoneOf | None:
        """What hides the article of its own."""
        return hiding([self.question.article]) if self.kind is Kind.ELSEWHERE else None


def sample(dataset: QuestionSet, *, limit: int | None, seed: int) -> list[Put]:
    """``limit`` questions, or all.

    Four of five are put as they are, in the data set's own mix; one of five is an answerable one
    whose article is hidden, if there is another article. A smaller sample is part of a larger one.
    """
    order = shuffled(dataset.questions, seed)
    hides = len(dataset.articles) > 1
    size = len(order) if limit is None else min(limit, len(order))
    away = size // _ELSEWHERE_SHARE if hides else 0
    plain = order if limit is None else order[: size - away]
    rest = [each for each in reversed(order) if each.is_answerable and each.article][:away]
    return [
        *(Put(each, Kind.ANSWERABLE if each.is_answerable else Kind.IMPOSSIBLE) for each in plain),
        *(Put(each, Kind.ELSEWHERE) for each in rest),
    ]


def shuffled(questions: Iterable[Question], seed: int) -> list[Question]:
    """Any order, but the same on every machine and with every version of Python."""
    return sorted(questions, key=lambda each: _hash(seed, each.id))


def halves(articles: Iterable[str], seed: int) -> tuple[Sequence[str], Sequence[str]]:
    """The articles in two halves."""
    order = sorted(articles, key=lambda each: _hash(seed, each))
    return order[: len(order) // 2], order[len(order) // 2 :]


def hiding(articles: Sequence[str]) -> NoneOf:
    """All documents but those of these articles."""
    return NoneOf([Compare(ARTICLE, Operator.IN, list(articles))])


def _hash(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed} {text}".encode()).digest()
