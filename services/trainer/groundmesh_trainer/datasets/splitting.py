"""Which rows are held out: near-duplicates, and rows of one group, are never on both sides.

Rows are near-duplicates when the word trigrams of their subjects overlap by 0.8 or more (Jaccard).
Candidates come from MinHash (Broder, SEQUENCES 1997) with locality-sensitive hashing, by
datasketch; each is then compared exactly, so what is called a duplicate is one. That one is missed
has a probability below 1 in 1,000 at the threshold, which falls steeply above it.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from datasketch import MinHash, MinHashLSH

from groundmesh_trainer.datasets.rows import QaRow, Row

NEAR = 0.8
"""The overlap from which on two subjects are near-duplicates."""

_PERMUTATIONS = 128
_BANDS = (32, 4)
"""Bands and rows of each: a pair at the threshold is found with 1 - (1 - 0.8^4)^32 > 0.999."""
_SHINGLE_WORDS = 3
_WORD = re.compile(r"\w+")

Shingles = frozenset[str]


@dataclass(frozen=True)
class Split:
    """The sides of each row, in their order, and what was found on the way."""

    held_out: tuple[bool, ...]
    duplicates: int
    """Rows that are near-duplicates of a row before them."""


def split(rows: Sequence[Row], *, held_out_share: float, seed: int) -> Split:
    """Hold out about a share of the rows, the same ones for the same rows and seed.

    Whole clusters go to a side, in an order drawn by ``seed``, as long as they don't take more
    than the share; so a single cluster of all rows holds out none.
    """
    subjects = _Subjects([row.subject for row in rows])
    clusters = _clusters(rows, subjects)
    order = sorted(clusters)
    random.Random(seed).shuffle(order)  # noqa: S311 - no secret
    room = round(len(rows) * held_out_share)
    held_out = [False] * len(rows)
    for root in order:
        members = clusters[root]
        if len(members) <= room:
            room -= len(members)
            for member in members:
                held_out[member] = True
    return Split(tuple(held_out), subjects.duplicates(rows))


class _Subjects:
    """The different subjects of rows, and which of them are near each other."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._ids = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        self.of_row = [self._ids[text] for text in texts]
        self.near = _Union(len(self._ids))
        for one, other in near_pairs(self._ids):
            self.near.join(one, other)

    def duplicates(self, rows: Sequence[Row]) -> int:
        """Rows that say the same as one before them, or nearly, whatever their subject."""
        seen = Counter(
            (self.near.root(subject), _said(row))
            for subject, row in zip(self.of_row, rows, strict=True)
        )
        return sum(seen.values()) - len(seen)


class _Union:
    """Disjoint sets of numbers (Tarjan, J. ACM 1975)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low


def near_pairs(texts: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Pairs of texts, by their places, that are near-duplicates; enough of them to link all."""
    index = MinHashLSH(num_perm=_PERMUTATIONS, params=_BANDS)
    known: list[Shingles] = []
    for number, text in enumerate(texts):
        shingles = shingles_of(text)
        signature = _signature(shingles)
        for other in index.query(signature):
            if overlap(shingles, known[other]) >= NEAR:
                yield other, number
        index.insert(number, signature, check_duplication=False)
        known.append(shingles)


def shingles_of(text: str) -> Shingles:
    """Its word trigrams, whatever the case; of a shorter text all words."""
    words = _WORD.findall(text.casefold())
    last = max(1, len(words) - _SHINGLE_WORDS + 1)
    return frozenset(" ".join(words[at : at + _SHINGLE_WORDS]) for at in range(last))


def overlap(one: Shingles, other: Shingles) -> float:
    """The Jaccard index."""
    return len(one & other) / len(one | other)


def _signature(shingles: Shingles) -> MinHash:
    signature = MinHash(num_perm=_PERMUTATIONS, hashfunc=_hash)
    signature.update_batch([shingle.encode() for shingle in shingles])
    return signature


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "little")


def _clusters(rows: Sequence[Row], subjects: _Subjects) -> dict[int, list[int]]:
    """By the first row of each, the rows that belong together."""
    together = _Union(len(rows))
    first: dict[object, int] = {}
    for number, row in enumerate(rows):
        subject = subjects.near.root(subjects.of_row[number])
        keys: list[object] = [subject, ("group", row.group)] if row.group else [subject]
        for key in keys:
            together.join(first.setdefault(key, number), number)
    clusters: dict[int, list[int]] = {}
    for number in range(len(rows)):
        clusters.setdefault(together.root(number), []).append(number)
    return clusters


def _said(row: Row) -> str:
    """What tells rows of one subject apart."""
    return " ".join(_WORD.findall(row.question.casefold())) if isinstance(row, QaRow) else ""
