"""Search's contract, over the wire, on the production chassis and Milvus Lite."""

from typing import Any

import pytest

from groundmesh.errors import InvalidArgument
from groundmesh.v1 import retriever_pb2
from groundmesh.v1.common_pb2 import Vectors
from groundmesh.v1.retriever_pb2 import (
    SEARCH_MODE_DENSE,
    SEARCH_MODE_HYBRID,
    SEARCH_MODE_SPARSE,
    Comparison,
    Filter,
    FilterList,
    Fusion,
    RankFusion,
    WeightedFusion,
)
from tests.mesh.retriever_mesh import (
    CATS,
    DOGS,
    PARENT,
    Doc,
    RetrieverClient,
    embedded,
    steps,
)

pytestmark = pytest.mark.e2e  # has a store of its own


def weighted(dense_weight: float) -> Fusion:
    return Fusion(weights=WeightedFusion(dense_weight=dense_weight))


async def test_search_modes_say_what_ran(client: RetrieverClient) -> None:
    await client.upsert(CATS, DOGS)
    dense = await client.search(CATS.lines[0])
    assert dense.mode == SEARCH_MODE_DENSE
    assert dense.chunks[0].chunk.text == CATS.lines[0]
    assert dense.chunks[0].dense_score == pytest.approx(1.0, abs=1e-5)
    assert not dense.chunks[0].HasField("sparse_score")
    assert dense.chunks[0].title == f"Title of {CATS.uri}"
    assert dense.chunks[0].uri == CATS.uri

    sparse = await client.search("sleeping kittens", mode=SEARCH_MODE_SPARSE)
    assert sparse.mode == SEARCH_MODE_SPARSE
    assert [hit.chunk.text for hit in sparse.chunks] == list(CATS.lines[:2])
    assert all(hit.score > 0 and not hit.HasField("dense_score") for hit in sparse.chunks)

    above = await client.search(f"lines titles {DOGS.uri}", mode=SEARCH_MODE_SPARSE)
    assert {hit.chunk.text for hit in above.chunks} == {*CATS.lines, *DOGS.lines}
    assert above.chunks[0].uri == DOGS.uri  # whose name stands in the title of each of its chunks

    chosen = await client.search("puppies", mode=retriever_pb2.SEARCH_MODE_UNSPECIFIED)
    assert chosen.mode == SEARCH_MODE_HYBRID
    best = {hit.chunk.text: hit for hit in chosen.chunks}[DOGS.lines[1]]
    assert best.HasField("sparse_score")
    assert best.HasField("dense_score")
    without_text = await client.search("", mode=retriever_pb2.SEARCH_MODE_UNSPECIFIED)
    assert without_text.mode == SEARCH_MODE_DENSE

    stopped = await client.search("of the and", mode=SEARCH_MODE_HYBRID)
    assert len(stopped.degraded) == 1
    assert len(stopped.chunks) == 5


async def test_hybrid_scores_are_the_mean_of_both_scaled_scores(client: RetrieverClient) -> None:
    await client.upsert(CATS, DOGS)
    hits = (await client.search(DOGS.lines[0], mode=SEARCH_MODE_HYBRID)).chunks
    assert hits[0].chunk.text == DOGS.lines[0]
    assert hits[0].score == pytest.approx(1.0)  # the best of both rankings


async def test_the_constant_of_ranks_and_the_weights_of_scores(client: RetrieverClient) -> None:
    await client.upsert(CATS, DOGS)
    line = DOGS.lines[0]
    steep = Fusion(ranks=RankFusion(constant=1))
    hits = (await client.search(line, mode=SEARCH_MODE_HYBRID, fusion=steep)).chunks
    assert hits[0].score == pytest.approx(1.0)
    for weight in (0.0, 0.25, 1.0):
        hits = (await client.search(line, mode=SEARCH_MODE_HYBRID, fusion=weighted(weight))).chunks
        assert hits[0].chunk.text == line
        assert hits[0].score == pytest.approx(1.0)
        assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
        assert hits[-1].score == 0.0


async def test_vectors_come_row_by_row_when_asked_for(client: RetrieverClient) -> None:
    await client.upsert(CATS, DOGS)
    assert not (await client.search("x")).HasField("vectors")
    for mode in (SEARCH_MODE_DENSE, SEARCH_MODE_HYBRID):
        response = await client.search("cats", mode=mode, limit=4, with_vectors=True)
        expected = embedded([hit.chunk.text for hit in response.chunks])
        assert response.vectors == expected
    nothing = await client.search("zebra", mode=SEARCH_MODE_SPARSE, with_vectors=True)
    assert not nothing.HasField("vectors")


async def test_several_collections_in_one_search(client: RetrieverClient) -> None:
    second = f"{PARENT}-2"
    await client.create("docs-2")
    await client.upsert(CATS)
    await client.stream(steps(DOGS, parent=second))
    both = [PARENT, second]
    for mode in (SEARCH_MODE_DENSE, SEARCH_MODE_SPARSE, SEARCH_MODE_HYBRID):
        response = await client.search("cats and dogs", collections=both, mode=mode)
        assert {hit.uri for hit in response.chunks} == {CATS.uri, DOGS.uri}
        assert [hit.score for hit in response.chunks[:2]] == pytest.approx([1 / 61] * 2)
        assert {hit.chunk.document.rpartition("/documents/")[0] for hit in response.chunks} == set(
            both
        )


async def test_how_fresh_a_search_was_and_what_that_cost(client: RetrieverClient) -> None:
    await client.upsert(CATS)
    for asked, ran in (
        (retriever_pb2.CONSISTENCY_UNSPECIFIED, retriever_pb2.CONSISTENCY_SESSION),
        (retriever_pb2.CONSISTENCY_BOUNDED, retriever_pb2.CONSISTENCY_BOUNDED),
        (retriever_pb2.CONSISTENCY_STRONG, retriever_pb2.CONSISTENCY_STRONG),
    ):
        response = await client.search("x", consistency=asked)
        assert response.consistency == ran
        strong = ran == retriever_pb2.CONSISTENCY_STRONG
        assert response.HasField("consistency_duration") == strong
        if strong:
            cost_us = response.consistency_duration.ToMicroseconds()
            assert 0 < cost_us <= response.store_duration.ToMicroseconds()


async def test_limits_and_filters(client: RetrieverClient) -> None:
    old = Doc("a", [f"old {n}" for n in range(30)], metadata={"year": 1999, "lang": "en"})
    new = Doc("b", [f"new {n}" for n in range(30)], metadata={"year": 2020, "lang": "de"})
    await client.upsert(old, new)
    assert len(await client.found("x", limit=7)) == 7
    assert len(await client.found("x")) == 10
    capped = await client.search("x", limit=10, max_chunks_per_document=2)
    assert sorted(hit.uri for hit in capped.chunks) == ["a", "a", "b", "b"]
    comparison = Comparison(field="year", operator=retriever_pb2.COMPARISON_OPERATOR_GREATER)
    comparison.values.add(number_value=2000)
    only_new = await client.search("x", limit=100, filter=Filter(comparison=comparison))
    assert {hit.uri for hit in only_new.chunks} == {"b"}
    assert len(only_new.chunks) == 30
    neither = Filter(none_of=FilterList(filters=[Filter(comparison=comparison)]))
    only_old = await client.search("x", limit=100, filter=neither)
    assert {hit.uri for hit in only_old.chunks} == {"a"}


BAD_SEARCHES: list[tuple[dict[str, Any], str]] = [
    ({"limit": -1}, "limit"),
    ({"limit": 1_001}, "limit"),
    ({"max_chunks_per_document": -1}, "max_chunks_per_document"),
    ({"collections": []}, "collections"),
    ({"collections": ["nonsense"]}, "collections[0]"),
    ({"query_vector": Vectors()}, "query_vector.rows"),
    ({"query_vector": None}, "query_vector"),
    ({"query_vector": Vectors(data=b"123", rows=1, dimension=1)}, "query_vector.data"),
    ({"query_vector": Vectors(data=bytes(8), rows=1, dimension=2)}, "query_vector.dimension"),
    ({"query_vector": Vectors(rows=-1)}, "query_vector.rows"),
    ({"mode": SEARCH_MODE_SPARSE, "query_text": " "}, "query_text"),
    ({"query_text": "x" * 8_193}, "query_text"),
    ({"mode": 99}, "mode"),
    ({"consistency": 99}, "consistency"),
    ({"collections": [PARENT] * 2}, "collections[1]"),
    ({"collections": [f"{PARENT}-{n}" for n in range(101)]}, "collections"),
    ({"fusion": Fusion(ranks=RankFusion(constant=-1))}, "fusion.ranks.constant"),
    ({"fusion": Fusion(ranks=RankFusion(constant=1_001))}, "fusion.ranks.constant"),
    ({"fusion": weighted(-0.1)}, "fusion.weights.dense_weight"),
    ({"fusion": weighted(1.1)}, "fusion.weights.dense_weight"),
    ({"fusion": weighted(float("nan"))}, "fusion.weights.dense_weight"),
    ({"filter": Filter()}, "filter"),
    ({"filter": Filter(none_of=FilterList())}, "filter.none_of.filters"),
    ({"filter": Filter(comparison=Comparison(field="a"))}, "filter.comparison.operator"),
]


@pytest.mark.parametrize(("fields", "named"), BAD_SEARCHES)
async def test_a_bad_search_names_its_field(
    client: RetrieverClient, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await client.search("x", **fields)
    assert [violation.field for violation in caught.value.fields] == [named]
