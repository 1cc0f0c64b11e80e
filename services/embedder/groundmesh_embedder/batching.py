"""Cuts a round of entries into batches of like length."""

from collections.abc import Iterable
from itertools import groupby

from groundmesh_embedder.fair_queue import Entry

ALL_ALIKE_TOKENS = 16
"""Entries up to this length are alike: padding them is cheaper than running another batch."""


def cut(round_: Iterable[Entry]) -> list[list[Entry]]:
    """Batches for one model each, shortest first, in which no entry is less than half the longest.

    So at most half of a batch is padding, a round makes few batches, and a short question that
    shares a round with long passages is answered before them.
    """
    batches: list[list[Entry]] = []
    for _, alike in groupby(sorted(round_, key=_model_and_length), key=_model):
        batches.extend(_by_length(alike))
    return sorted(batches, key=lambda batch: batch[-1].tokens)


def _by_length(ascending: Iterable[Entry]) -> list[list[Entry]]:
    batches: list[list[Entry]] = []
    for entry in ascending:
        if batches and entry.tokens <= 2 * max(batches[-1][0].tokens, ALL_ALIKE_TOKENS):
            batches[-1].append(entry)
        else:
            batches.append([entry])
    return batches


def _model(entry: Entry) -> tuple[int, str]:
    return id(entry.call.runner), entry.encoded.group


def _model_and_length(entry: Entry) -> tuple[int, str, int]:
    return *_model(entry), entry.tokens
