"""A vector store in memory, exact and deterministic; it can be told to be away."""

import math
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from groundmesh.errors import Reason, Unavailable
from groundmesh_retriever.filters import AllOf, AnyOf, Comparison, Filter, NoneOf, Operator
from groundmesh_retriever.model import Scalar
from groundmesh_retriever.stores.base import (
    Ask,
    Capabilities,
    ChunkWrite,
    Freshness,
    Hit,
    IndexMissing,
    IndexSpec,
    StoredChunk,
    Vectors,
)

K1, B = 1.5, 0.75
Row = tuple[ChunkWrite, Vectors]


@dataclass
class FakeVectorStore:
    """Every index is a dict; every search looks at every chunk."""

    full_text: bool = True
    away: bool = False
    indexes: dict[str, dict[str, Row]] = field(default_factory=dict)
    searches: int = 0
    after_upsert: list[Callable[[], None]] = field(default_factory=list)
    after_search: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Done after the hits are known and before the caller has them."""

    async def capabilities(self) -> Capabilities:
        self._answer()
        return Capabilities("fake-1", full_text=self.full_text)

    async def create_index(self, spec: IndexSpec) -> None:
        self._answer()
        self.indexes.setdefault(spec.name, {})

    async def drop_index(self, index: str) -> None:
        self._answer()
        self.indexes.pop(index, None)

    async def upsert(self, index: str, writes: Sequence[ChunkWrite], vectors: Vectors) -> None:
        rows = self._rows(index)
        rows.update({w.key: (w, v) for w, v in zip(writes, vectors, strict=True)})
        for happens in self.after_upsert:
            happens()

    async def delete(self, index: str, keys: Sequence[str]) -> None:
        rows = self._rows(index)
        for key in keys:
            rows.pop(key, None)

    async def get(
        self,
        index: str,
        keys: Sequence[str],
        *,
        freshness: Freshness = Freshness.STRONG,
        with_vectors: bool = False,
    ) -> list[StoredChunk]:
        rows = self._rows(index)
        return [_stored(rows[key], with_vectors=with_vectors) for key in keys if key in rows]

    async def count(self, index: str) -> int:
        return len(self._rows(index))

    async def search_dense(self, index: str, vector: Vectors, ask: Ask) -> list[Hit]:
        scores = {
            write.key: float(v @ vector / (np.linalg.norm(v) * np.linalg.norm(vector)))
            for write, v in self._visible(index, ask)
        }
        return await self._best(index, scores, ask)

    async def search_sparse(self, index: str, terms: str, ask: Ask) -> list[Hit]:
        counts = {k: Counter((w.terms or "").split()) for k, (w, _) in self._rows(index).items()}
        scores: defaultdict[str, float] = defaultdict(float)
        for write, _ in self._visible(index, ask):
            for term in terms.split():
                if counts[write.key][term]:
                    scores[write.key] += _bm25(term, write.key, counts)
        return await self._best(index, scores, ask)

    async def close(self) -> None:
        return None

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("the fake store is away", reason=Reason.STORE_UNAVAILABLE)

    def _rows(self, index: str) -> dict[str, Row]:
        self._answer()
        if index not in self.indexes:
            raise IndexMissing(index)
        return self.indexes[index]

    def _visible(self, index: str, ask: Ask) -> list[Row]:
        scope = ask.scope
        return [
            (write, vector)
            for write, vector in self._rows(index).values()
            if write.tenant == scope.tenant
            and (scope.labels is None or scope.labels & set(write.reader_labels))
            and (scope.filter is None or matches(scope.filter, dict(write.metadata)))
        ]

    async def _best(self, index: str, scores: dict[str, float], ask: Ask) -> list[Hit]:
        self.searches += 1
        rows = self._rows(index)
        best = sorted(scores, key=lambda key: (-scores[key], key))[: ask.limit]
        hits = [
            Hit(key, scores[key], _stored(rows[key]) if ask.with_chunks else None) for key in best
        ]
        for happens in self.after_search:
            await happens()
        return hits


def matches(node: Filter, metadata: dict[str, Scalar]) -> bool:
    """What a filter means, in the fewest words."""
    match node:
        case NoneOf(filters):
            return not any(matches(each, metadata) for each in filters)
        case AllOf(filters):
            return all(matches(each, metadata) for each in filters)
        case AnyOf(filters):
            return any(matches(each, metadata) for each in filters)
        case Comparison(name, operator, values):
            return name in metadata and _compares(metadata[name], operator, values)


def _compares(mine: Scalar, operator: Operator, values: tuple[Scalar, ...]) -> bool:
    same_kind = type(mine) is type(values[0])
    if operator is Operator.NOT_EQUAL:
        return not (same_kind and mine == values[0])
    if not same_kind:
        return False
    if operator in {Operator.EQUAL, Operator.IN}:
        return mine in values
    less, equal = mine < values[0], mine == values[0]  # type: ignore[operator]
    return {
        Operator.LESS: less,
        Operator.LESS_OR_EQUAL: less or equal,
        Operator.GREATER: not less and not equal,
        Operator.GREATER_OR_EQUAL: not less,
    }[operator]


def _bm25(term: str, key: str, counts: dict[str, Counter[str]]) -> float:
    lengths = {k: c.total() for k, c in counts.items()}
    found_in = sum(1 for c in counts.values() if c[term])
    idf = math.log((len(counts) - found_in + 0.5) / (found_in + 0.5) + 1)
    average = sum(lengths.values()) / len(lengths)
    count = counts[key][term]
    return idf * count * (K1 + 1) / (count + K1 * (1 - B + B * lengths[key] / average))


def _stored(row: Row, *, with_vectors: bool = False) -> StoredChunk:
    write, vector = row
    chunk = StoredChunk(write.key, write.version, write.document, write.chunk)
    return replace(chunk, vector=vector) if with_vectors else chunk
