"""The way from a query to its passages, on a fake mesh in memory."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from groundmesh import deadline
from groundmesh.errors import (
    FailedPrecondition,
    Internal,
    InvalidArgument,
    MeshError,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh_gateway.finding import Embedded, Finder, FindOptions, Found, FoundPassage, Wish
from groundmesh_gateway.finding.model import Vector
from groundmesh_gateway.stages import Stage, Stopwatch
from tests.unit.gateway_find.passages import passage

TEXT = b"one. two.\n\nthree. four."


def chunks() -> list[FoundPassage]:
    """Of TEXT, ranked in another order than they stand in it."""
    cut = [(0, 4), (5, 9), (11, 17), (18, 23)]
    return [
        passage(
            TEXT[slice(*cut[ordinal])].decode(),
            index=index,
            ordinal=ordinal,
            start_byte=cut[ordinal][0],
            score=0.04 - index / 100,
        )
        for index, ordinal in enumerate((2, 0, 3, 1))
    ]


@dataclass
class FakeMesh:
    """Finds what a test sets, and remembers what it is asked."""

    wish: Wish
    found: list[FoundPassage] = field(default_factory=chunks)
    vectors: list[Vector] | None = None
    scores: Sequence[float] | MeshError = ()
    text: bytes | MeshError = TEXT
    wants_vector: bool = True
    truncated: bool = False
    depth: int = 0
    reranked: list[Sequence[str]] = field(default_factory=list)
    reads: list[tuple[str, int, int]] = field(default_factory=list)
    time_left: list[float | None] = field(default_factory=list)

    async def embed(self) -> Embedded[str]:
        return Embedded("vector", truncated=self.truncated)

    async def search(self, vector: str | None, *, depth: int) -> Found:
        assert vector == ("vector" if self.wants_vector else None)
        self.depth = depth
        return Found(self.found, ("a note of the search",), self.vectors)

    async def rerank(self, texts: Sequence[str]) -> Sequence[float]:
        self.reranked.append(texts)
        self.time_left.append(deadline.remaining())
        await asyncio.sleep(0)
        if isinstance(self.scores, MeshError):
            raise self.scores
        return self.scores

    async def read(self, document: str, start_byte: int, end_byte: int) -> bytes:
        self.reads.append((document, start_byte, end_byte))
        self.time_left.append(deadline.remaining())
        if isinstance(self.text, MeshError):
            raise self.text
        return self.text[start_byte:end_byte]


async def find(mesh: FakeMesh, **options: Any) -> Found:
    return await Finder(mesh, FindOptions(**options), Stopwatch()).find()


def texts(found: Found) -> list[str]:
    return [each.passage.text for each in found.passages]


async def test_without_wishes_it_is_the_search() -> None:
    mesh = FakeMesh(Wish(limit=3))
    watch = Stopwatch()
    found = await Finder(mesh, FindOptions(), watch).find()
    assert found == Found(chunks()[:3], ("a note of the search",))
    assert mesh.depth == 3
    assert list(watch.finish()) == [Stage.EMBED, Stage.SEARCH, Stage.TOTAL]
    assert not mesh.reranked
    assert not mesh.reads


@pytest.mark.parametrize(("limit", "depth"), [(1, 50), (13, 52), (60, 200), (500, 500)])
@pytest.mark.parametrize(
    "wish", [{"rerank": True}, {"relevance_weight": 0.0}, {"merge_neighbors": True}]
)
async def test_how_many_are_looked_at(limit: int, depth: int, wish: dict[str, Any]) -> None:
    mesh = FakeMesh(Wish(limit=limit, **wish), found=[])
    await find(mesh)
    assert mesh.depth == depth


async def test_reranking_orders_by_the_cross_encoder() -> None:
    mesh = FakeMesh(Wish(limit=3, rerank=True), scores=[0.1, 0.7, 0.1, 0.9])
    watch = Stopwatch()
    found = await Finder(mesh, FindOptions(), watch).find()
    assert mesh.reranked == [["three.", "one.", "four.", "two."]]
    assert texts(found) == ["two.", "one.", "three."]  # equals stay in their order
    assert [(each.score, each.rerank_score) for each in found.passages[:2]] == [
        (0.9, 0.9),
        (0.7, 0.7),
    ]
    assert found.degraded == ("a note of the search",)
    assert Stage.RERANK in watch.finish()


async def test_what_is_past_the_most_candidates_stays_behind() -> None:
    mesh = FakeMesh(Wish(limit=4, rerank=True), scores=[-5.0, -1.0])
    found = await find(mesh, most_candidates=2)
    assert texts(found) == ["one.", "three.", "four.", "two."]
    assert [each.rerank_score for each in found.passages] == [-1.0, -5.0, None, None]


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        (FailedPrecondition("-", reason=Reason.RERANKER_NOT_CONFIGURED), "has no cross-encoder"),
        (ResourceExhausted("-"), "has too much to do"),
        (Unavailable("the embedder at x can't be reached"), "the embedder at x can't be reached"),
        (InvalidArgument.of_field("passages[3]", "has too many bytes"), "has too many bytes"),
        ([0.5], "gave 1 scores for 4 passages"),
    ],
)
async def test_without_a_reranker_the_search_is_the_result(scores: Any, why: str) -> None:
    found = await find(FakeMesh(Wish(limit=4, rerank=True), scores=scores))
    assert list(found.passages) == chunks()
    _, note = found.degraded
    assert note.startswith("not reranked: ")
    assert why in note


async def test_nothing_found_is_nothing_to_rerank() -> None:
    mesh = FakeMesh(Wish(limit=4, rerank=True, relevance_weight=0.5), found=[])
    assert (await find(mesh)).degraded == ("a note of the search",)
    assert not mesh.reranked


async def test_a_part_that_can_be_done_without_waits_for_half_of_the_time() -> None:
    wish = Wish(limit=4, rerank=True, merge_neighbors=True)
    mesh = FakeMesh(wish, scores=[4.0, 3.0, 2.0, 1.0])
    with deadline.within(60):
        await find(mesh)
        assert (deadline.remaining() or 0) > 55
    assert all(left is not None and 25 < left <= 30 for left in mesh.time_left)
    assert len(mesh.time_left) == 2


async def test_diversity_passes_copies_over() -> None:
    same: Vector = [1.0, 0.0]
    mesh = FakeMesh(Wish(limit=2, relevance_weight=0.5), vectors=[same, same, [0.0, 1.0], same])
    assert texts(await find(mesh)) == ["three.", "four."]


async def test_diversity_goes_by_the_cross_encoder_once_it_has_spoken() -> None:
    same: Vector = [1.0, 0.0]
    mesh = FakeMesh(
        Wish(limit=4, rerank=True, relevance_weight=1.0),
        vectors=[same] * 4,
        scores=[0.1, 0.7, 0.1, 0.9],
    )
    assert texts(await find(mesh)) == ["two.", "one.", "three.", "four."]


async def test_a_store_without_vectors_is_said() -> None:
    found = await find(FakeMesh(Wish(limit=4, relevance_weight=0.5)))
    assert list(found.passages) == chunks()
    assert found.degraded[-1] == "not diversified: the retriever gave no vectors"


async def test_neighbours_are_given_with_the_text_between_them() -> None:
    mesh = FakeMesh(Wish(limit=4, merge_neighbors=True))
    (found,) = (await find(mesh)).passages
    assert found.passage.text.encode() == TEXT
    assert (found.start_byte, found.end_byte, found.ordinal) == (0, len(TEXT), 0)
    assert (found.chunks[0], sorted(found.chunks)) == (0, [0, 1, 2, 3])
    assert found.score == chunks()[0].score
    assert mesh.reads == [("d", 0, len(TEXT))]


async def test_chunks_that_overlap_need_no_text() -> None:
    overlapping = [
        passage("one two", index=0),
        passage("two three", index=1, ordinal=1, start_byte=4),
    ]
    mesh = FakeMesh(Wish(limit=4, merge_neighbors=True), found=overlapping)
    assert texts(await find(mesh)) == ["one two three"]
    assert not mesh.reads


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (Unavailable("the folder is away"), "can't be read: the folder is away"),
        (Internal("?"), "can't be read"),
        (b"another text of another version", "has changed"),
    ],
)
async def test_without_the_text_neighbours_stay_apart(text: Any, why: str) -> None:
    elsewhere = replace(passage("far", index=4, score=0.001), document="e")
    mesh = FakeMesh(Wish(limit=2, merge_neighbors=True), found=[*chunks(), elsewhere], text=text)
    found = await find(mesh)
    assert texts(found) == ["three.", "one."]  # in the order of the search
    assert found.degraded[-1].startswith("neighbouring chunks were left apart: ")
    assert why in found.degraded[-1]
