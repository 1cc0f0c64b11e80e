"""The way from a query to its passages."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Generic, TypeVar

from groundmesh import deadline
from groundmesh.chunk_context import in_context
from groundmesh.errors import Internal, MeshError, Reason
from groundmesh_gateway.finding.diversity import diverse_order
from groundmesh_gateway.finding.model import FindOptions, Found, FoundPassage, Vector
from groundmesh_gateway.finding.neighbors import (
    Run,
    as_one,
    holds,
    run_bounds,
    runs_of_neighbors,
    spliced,
)
from groundmesh_gateway.finding.ports import Finding
from groundmesh_gateway.stages import Stage, Stopwatch

V = TypeVar("V")

_QUERY_CUT = (
    "the question is longer than the embedding model reads; only its beginning was searched for"
)
_WHY_NOT_RERANKED = {
    Reason.RERANKER_NOT_CONFIGURED: "the embedder has no cross-encoder (groundmesh up "
    "--rerank-model, or the embedder's --reranker)",
    Reason.OVERLOADED: "the embedder has too much to do",
    Reason.DEADLINE_PASSED: "the cross-encoder took too long",
}
_READS_AT_ONCE = 8


class Finder(Generic[V]):
    """Finds passages for one query.

    The order of what is done: search; rerank; diversify; merge neighbours; cut to the limit. All
    after the search is done without where it fails, and that is said: its result is good without.
    """

    def __init__(self, mesh: Finding[V], options: FindOptions, watch: Stopwatch) -> None:
        """``watch`` gets the stages."""
        self._mesh = mesh
        self._options = options
        self._watch = watch
        self._degraded: list[str] = []

    async def find(self) -> Found:
        """The passages, best first."""
        wish = self._mesh.wish
        found = await self._search()
        passages = found.passages
        if wish.rerank and passages:
            passages = await self._reranked(passages)
        if wish.relevance_weight is not None and passages:
            passages = await self._diversified(passages, found.vectors, wish.relevance_weight)
        if wish.merge_neighbors:
            passages = await self._merged(passages)
        nearest = _nearest(found.passages)
        return Found(passages[: wish.limit], tuple(self._degraded), nearest=nearest)

    async def _search(self) -> Found:
        vector = None
        if self._mesh.wants_vector:
            self._watch.enter(Stage.EMBED)
            embedded = await self._mesh.embed()
            vector = embedded.vector
            if embedded.truncated:
                self._degraded.append(_QUERY_CUT)
        self._watch.enter(Stage.SEARCH)
        found = await self._mesh.search(vector, depth=self._options.depth(self._mesh.wish))
        self._degraded += found.degraded
        return found

    async def _reranked(self, passages: Sequence[FoundPassage]) -> Sequence[FoundPassage]:
        """By the cross-encoder's scores; what is past the most candidates stays behind."""
        head, tail = self._candidates(passages)
        self._watch.enter(Stage.RERANK)
        try:
            with self._share_of_time():
                scores = await self._mesh.rerank(
                    [in_context(each.context, each.passage.text) for each in head]
                )
            if len(scores) != len(head):
                raise Internal(f"the embedder gave {len(scores)} scores for {len(head)} passages")
        except MeshError as error:
            why = _WHY_NOT_RERANKED.get(error.reason, error.message)
            self._degraded.append(f"not reranked: {why}")
            return passages
        finally:
            self._watch.enter(Stage.SEARCH)
        scored = [
            replace(passage, score=score, rerank_score=score)
            for passage, score in zip(head, scores, strict=True)
        ]
        return [*sorted(scored, key=lambda each: -each.score), *tail]

    async def _diversified(
        self, passages: Sequence[FoundPassage], vectors: Sequence[Vector] | None, weight: float
    ) -> Sequence[FoundPassage]:
        if vectors is None:
            self._degraded.append("not diversified: the retriever gave no vectors")
            return passages
        head, tail = self._candidates(passages)
        order = await asyncio.to_thread(  # tens of milliseconds, for hundreds of passages
            diverse_order,
            [each.score for each in head],
            [vectors[each.chunks[0]] for each in head],
            relevance_weight=weight,
        )
        return [*(head[index] for index in order), *tail]

    async def _merged(self, passages: Sequence[FoundPassage]) -> Sequence[FoundPassage]:
        """Neighbours as one; those whose text in between can't be had stay apart."""
        runs = runs_of_neighbors(passages, limit=self._mesh.wish.limit)
        reading = asyncio.Semaphore(_READS_AT_ONCE)
        with self._share_of_time():
            texts = await asyncio.gather(*(self._text_of(run, reading) for run in runs))
        failed = [text for text in texts if isinstance(text, str)]
        if failed:
            self._degraded.append(f"neighbouring chunks were left apart: {failed[0]}")
        merged: list[FoundPassage] = []
        for run, text in zip(runs, texts, strict=True):
            merged += run if isinstance(text, str) else [as_one(run, text)]
        ranks = {passage.chunks[0]: rank for rank, passage in enumerate(passages)}
        return sorted(merged, key=lambda each: ranks[each.chunks[0]])

    async def _text_of(self, run: Run, reading: asyncio.Semaphore) -> bytes | str:
        """The bytes of a run, or why they can't be had."""
        text = spliced(run)
        if text is not None:
            return text
        begin, end = run_bounds(run)
        try:
            async with reading:
                text = await self._mesh.read(run[0].document, begin, end)
        except MeshError as error:
            return f"the document's text can't be read: {error.message}"
        return text if holds(text, run) else "the document has changed since it was searched"

    def _candidates(
        self, passages: Sequence[FoundPassage]
    ) -> tuple[Sequence[FoundPassage], Sequence[FoundPassage]]:
        most = self._options.most_candidates
        return passages[:most], passages[most:]

    @contextmanager
    def _share_of_time(self) -> Iterator[None]:
        """What is called in the block leaves time for what must follow."""
        left = deadline.remaining()
        with deadline.within(None if left is None else left * self._options.wait_share):
            yield


def _nearest(passages: Sequence[FoundPassage]) -> dict[str, float]:
    """By collection, the largest cosine."""
    nearest: dict[str, float] = {}
    for passage in passages:
        if passage.cosine is not None:
            collection = passage.document.rpartition("/documents/")[0]
            nearest[collection] = max(passage.cosine, nearest.get(collection, passage.cosine))
    return nearest
