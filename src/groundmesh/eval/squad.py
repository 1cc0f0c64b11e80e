"""Exact match and token F1 as the official scripts of SQuAD 1.1 and 2.0 compute them."""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MARKS = re.compile(r" ?\[\d{1,4}(?:, ?\d{1,4})*\]|##(?:begin|end)_quote##")


def prediction(answer: str) -> str:
    """An answer without its citations, which are no words of it."""
    return _MARKS.sub("", answer).strip()


def normalized(text: str) -> str:
    """Lower case, without punctuation and articles, white space folded."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(given: str, golds: Sequence[str]) -> float:
    """1 where the answer is one of the golds; without golds, where it is empty."""
    return max(float(normalized(given) == normalized(gold)) for gold in _scored(golds))


def f1(given: str, golds: Sequence[str]) -> float:
    """The overlap in tokens with the gold that it overlaps most with."""
    return max(_f1(normalized(given).split(), normalized(gold).split()) for gold in _scored(golds))


def contains(given: str, golds: Sequence[str]) -> float:
    """1 where a gold stands in the answer, word for word; for answers that are sentences."""
    words = f" {normalized(given)} "
    return float(any(f" {normalized(gold)} " in words for gold in _scored(golds) if gold))


def _scored(golds: Sequence[str]) -> Sequence[str]:
    """What counts: golds that normalise to nothing don't; without any, nothing is right."""
    return [gold for gold in golds if normalized(gold)] or [""]


def _f1(given: Sequence[str], gold: Sequence[str]) -> float:
    if not given or not gold:
        return float(given == gold)
    same = (Counter(given) & Counter(gold)).total()
    if not same:
        return 0.0
    precision, recall = same / len(given), same / len(gold)
    return 2 * precision * recall / (precision + recall)
