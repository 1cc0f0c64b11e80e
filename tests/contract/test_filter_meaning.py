"""Any filter, with any values, finds on a running Milvus Lite what the model of it says."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundmesh_retriever.filters import (
    ORDERING,
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    NoneOf,
    Operator,
    check,
)
from groundmesh_retriever.model import Chunk, ChunkSpan, Place, Scalar
from groundmesh_retriever.stores.base import Ask, ChunkWrite, IndexSpec, Scope
from groundmesh_retriever.stores.milvus import MilvusStore
from tests.fakes.vector_store import matches
from tests.milvus_servers import milvus_lite

INDEX = "gm_filters"
TENANT = "acme"
HOSTILE = [
    "",
    "en",
    "EN",
    '"',
    "\\",
    '\\"',
    '" or tenant != "',
    '"]) or true or (["',
    "metadata['s_a']",
    "a\nb",
    "%",
    "null",
    "true",
    "1.0",
    "東京",
    "𝕏",
    "\x00",
]
NUMBERS = [0.0, -0.0, 1.0, -1.5, 1e300, -1e-300, 2020.0, 9007199254740993.0]
FIELDS = ["a", "b", "tenant", "labels", "metadata", "s_a", "_", "A"]
POOLS: list[st.SearchStrategy[Scalar]] = [
    st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(NUMBERS) | st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
]
METADATA = st.dictionaries(
    st.sampled_from(FIELDS), st.one_of(*(st.sampled_from(p) for p in (HOSTILE, NUMBERS)), POOLS[2])
)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    pool = draw(st.sampled_from(POOLS))
    operators = [op for op in Operator if pool is not POOLS[2] or op not in ORDERING]
    operator = draw(st.sampled_from(operators))
    most = 4 if operator is Operator.IN else 1
    values = draw(st.lists(pool, min_size=1, max_size=most))
    return Comparison(draw(st.sampled_from(FIELDS)), operator, tuple(values))


def lists(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    some = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(AllOf, some), st.builds(AnyOf, some), st.builds(NoneOf, some))


FILTERS: st.SearchStrategy[Filter] = st.recursive(comparisons(), lists, max_leaves=6)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus_lite(tmp_path_factory.mktemp("lite")) as process:
        asyncio.run(process.up())
        yield process.uri


@pytest.fixture
async def store(uri: str) -> AsyncIterator[MilvusStore]:
    made = MilvusStore(uri, token="", timeout_s=30.0)
    await made.create_index(IndexSpec(INDEX, 2, full_text=True))
    yield made
    await made.drop_index(INDEX)
    await made.close()


def writes(metadata: list[dict[str, Scalar]], tenant: str) -> list[ChunkWrite]:
    return [
        ChunkWrite(
            key=f"{tenant}-{n}",
            version="v",
            document="d",
            tenant=tenant,
            reader_labels=("",),
            metadata=each,
            chunk=Chunk(ChunkSpan(n, 0, 1, 1, Place()), "x"),
            terms="x",
        )
        for n, each in enumerate(metadata)
    ]


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(METADATA, min_size=4, max_size=8), st.lists(FILTERS, min_size=1, max_size=6))
async def test_a_filter_finds_what_its_model_says_and_never_another_tenant_s(
    store: MilvusStore, documents: list[dict[str, Scalar]], filters: list[Filter]
) -> None:
    ours, theirs = writes(documents, TENANT), writes(documents, "globex")
    everything = [*ours, *theirs]
    vectors = np.ones((len(everything), 2), dtype=np.float32)
    await store.upsert(INDEX, everything, vectors)
    for asked in filters:
        check(asked, field="filter")
        ask = Ask(Scope(TENANT, frozenset({""}), asked), limit=100, with_chunks=False)
        for hits in (
            await store.search_dense(INDEX, vectors[0], ask),
            await store.search_sparse(INDEX, "x", ask),
        ):
            expected = {w.key for w in ours if matches(asked, dict(w.metadata))}
            assert {hit.key for hit in hits} == expected
    await store.delete(INDEX, [write.key for write in everything])
