"""What every vector store does, on Milvus Lite, on a real Milvus server, and on the tests' fake."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from groundmesh.deadline import within
from groundmesh.errors import DeadlineExceeded, Reason, Unavailable
from groundmesh_retriever.filters import (
    MAX_DEPTH,
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    NoneOf,
    Operator,
    check,
)
from groundmesh_retriever.model import Chunk, ChunkSpan, Place
from groundmesh_retriever.stores.base import (
    Ask,
    ChunkWrite,
    Freshness,
    IndexMissing,
    IndexSpec,
    Scope,
    VectorStore,
)
from groundmesh_retriever.stores.milvus import MilvusStore
from tests.fakes.vector_store import FakeVectorStore
from tests.milvus_servers import MilvusProcess, milvus_lite, real_milvus

DIMENSION = 8
TENANT = "acme"


@pytest.fixture(scope="session", params=["fake", "milvus-lite", "milvus-2.3.5"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MilvusProcess | None]:
    if request.param == "fake":
        yield None
        return
    run = milvus_lite if request.param == "milvus-lite" else real_milvus
    with run(tmp_path_factory.mktemp(request.param)) as process:
        asyncio.run(process.up())
        yield process


@pytest.fixture
async def store(server: MilvusProcess | None) -> AsyncIterator[VectorStore]:
    made: VectorStore = (
        FakeVectorStore() if server is None else MilvusStore(server.uri, token="", timeout_s=30.0)
    )
    yield made
    await made.close()


@pytest.fixture
async def index(store: VectorStore) -> AsyncIterator[str]:
    name = f"gm_{secrets.token_hex(4)}"
    full_text = (await store.capabilities()).full_text
    await store.create_index(IndexSpec(name, DIMENSION, full_text=full_text))
    yield name
    await store.drop_index(name)


@pytest.fixture
async def full_text(store: VectorStore) -> None:
    if not (await store.capabilities()).full_text:
        pytest.skip("this server has no full text")


def write(number: int, **changes: object) -> ChunkWrite:
    span = ChunkSpan(number, number * 10, number * 10 + 9, 3, Place(("Title", "Part"), 7, None, 2))
    made = ChunkWrite(
        key=f"v-{number}",
        version="v",
        document="d",
        tenant=TENANT,
        reader_labels=("",),
        metadata={},
        chunk=Chunk(span, f'text {number} "quoted" \\ ünïcödé\n東京'),
        terms=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def axis(number: int, *, lean: float = 0.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A vector along one axis, leaning a little towards the next."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[number % DIMENSION] = 1.0
    vector[(number + 1) % DIMENSION] = lean
    return vector


async def put(store: VectorStore, index: str, *writes: ChunkWrite) -> None:
    if (await store.capabilities()).full_text:
        writes = tuple(replace(w, terms="x" if w.terms is None else w.terms) for w in writes)
    vectors = np.stack([axis(w.chunk.span.ordinal) for w in writes])
    await store.upsert(index, writes, vectors)


def ask(limit: int = 10, **changes: object) -> Ask:
    scope = Scope(TENANT, labels=None)
    return Ask(replace(scope, **changes), limit)  # type: ignore[arg-type]


async def found(store: VectorStore, index: str, asked: Ask) -> set[str]:
    hits = await store.search_dense(index, axis(0), asked)
    return {hit.key for hit in hits}


async def test_what_is_written_is_found_at_once_and_comes_back_whole(
    store: VectorStore, index: str
) -> None:
    written = write(3)
    await put(store, index, written, write(5))
    [best, *_] = await store.search_dense(index, axis(3, lean=0.1), ask())
    assert best.stored is not None
    assert best.stored.chunk == written.chunk
    assert (best.stored.key, best.stored.version, best.stored.document) == ("v-3", "v", "d")


async def test_dense_scores_are_cosines_best_first(store: VectorStore, index: str) -> None:
    await put(store, index, write(0), write(1), write(2))
    hits = await store.search_dense(index, 5 * axis(0, lean=0.5), ask())
    assert [hit.key for hit in hits] == ["v-0", "v-1", "v-2"]
    assert [hit.score for hit in hits] == pytest.approx([0.894427, 0.447214, 0.0], abs=1e-4)


async def test_searches_that_are_asked_at_once_each_get_their_own_hits(
    store: VectorStore, index: str
) -> None:
    await put(store, index, *(write(n, tenant=f"t{n % 2}") for n in range(DIMENSION)))
    asked = [(n, f"t{t}", limit) for n in range(DIMENSION) for t in (0, 1) for limit in (1, 2, 9)]
    answers = await asyncio.gather(
        *(
            store.search_dense(index, axis(n), replace(ask(limit, tenant=t), with_chunks=n > 3))
            for n, t, limit in asked
        )
    )
    for (n, tenant, limit), hits in zip(asked, answers, strict=True):
        mine = {f"v-{other}" for other in range(DIMENSION) if tenant == f"t{other % 2}"}
        assert len(hits) == min(limit, len(mine))
        assert {hit.key for hit in hits} <= mine
        assert (hits[0].key == f"v-{n}") == (f"v-{n}" in mine)
        assert all((hit.stored is not None) == (n > 3) for hit in hits)


@pytest.mark.usefixtures("full_text")
async def test_words_that_are_asked_at_once_each_get_their_own_hits(
    store: VectorStore, index: str
) -> None:
    await put(store, index, *(write(n, terms=f"all w{n}") for n in range(DIMENSION)))
    words = [f"w{n}" for n in range(DIMENSION)] + ["nowhere", "all"]
    answers = await asyncio.gather(
        *(store.search_sparse(index, word, ask(limit=20)) for word in words)
    )
    for n, hits in enumerate(answers[:DIMENSION]):
        assert [hit.key for hit in hits] == [f"v-{n}"]
    assert [len(hits) for hits in answers[DIMENSION:]] == [0, DIMENSION]


async def test_an_upsert_replaces_what_has_the_same_key(store: VectorStore, index: str) -> None:
    await put(store, index, write(1))
    again = write(1, document="other")
    await put(store, index, again)
    assert await store.count(index) == 1
    [only] = await store.get(index, ["v-1"])
    assert only.document == "other"


async def test_get_and_delete_take_keys_that_are_not_there(store: VectorStore, index: str) -> None:
    await put(store, index, write(0), write(1), write(2))
    assert {each.key for each in await store.get(index, ["v-0", "v-2", "nobody"])} == {"v-0", "v-2"}
    await store.delete(index, ["v-0", "nobody"])
    assert await store.count(index) == 2
    assert await store.get(index, ["v-0"]) == []
    assert await store.get(index, []) == []


async def test_more_chunks_than_one_request_holds(store: VectorStore, index: str) -> None:
    writes = [write(number) for number in range(1_100)]
    await put(store, index, *writes)
    assert await store.count(index) == 1_100
    keys = [each.key for each in writes]
    assert {each.key for each in await store.get(index, keys)} == set(keys)
    await store.delete(index, keys[:1_050])
    assert await store.count(index) == 50


async def test_concurrent_writers_of_one_index_lose_nothing(store: VectorStore, index: str) -> None:
    writers = [put(store, index, *(write(n, key=f"{w}-{n}") for n in range(100))) for w in range(8)]
    await asyncio.gather(*writers)
    assert await store.count(index) == 800


async def test_a_strong_search_sees_what_another_client_wrote(
    server: MilvusProcess | None, store: VectorStore, index: str
) -> None:
    other = store if server is None else MilvusStore(server.uri, token="", timeout_s=30.0)
    await put(other, index, write(0))
    strong = replace(ask(), freshness=Freshness.STRONG)
    assert await found(store, index, strong) == {"v-0"}
    await other.close()


async def test_a_missing_index_is_said_to_be_missing(store: VectorStore) -> None:
    with pytest.raises(IndexMissing):
        await store.search_dense("gm_nothing", axis(0), ask())
    with pytest.raises(IndexMissing):
        await store.get("gm_nothing", ["v-0"])
    await store.drop_index("gm_nothing")


async def test_creating_an_index_again_keeps_what_is_in_it(store: VectorStore, index: str) -> None:
    await put(store, index, write(0))
    full_text = (await store.capabilities()).full_text
    await store.create_index(IndexSpec(index, DIMENSION, full_text=full_text))
    assert await store.count(index) == 1


async def test_a_search_stays_in_its_tenant(store: VectorStore, index: str) -> None:
    await put(store, index, write(0), write(1, tenant="other"))
    assert await found(store, index, ask()) == {"v-0"}


HOSTILE = ['" or tenant != "', "\\", '\\"', "'", "*", "a\nb", "%", "𝕏", 'x"]) or true or ([']
LABELS: list[tuple[str, ...]] = [("",), ("hr",), ("legal",), ("hr", "legal")]
READABLE: list[tuple[set[str] | None, set[int]]] = [
    (None, set(range(len(LABELS) + len(HOSTILE)))),
    ({""}, {0}),
    ({"", "hr"}, {0, 1, 3}),
    ({"", "legal"}, {0, 2, 3}),
    ({"nobody"}, set()),
    *(({each}, {len(LABELS) + n}) for n, each in enumerate(HOSTILE)),
]


async def test_reader_labels_are_filtered_in_the_store(store: VectorStore, index: str) -> None:
    labels = [*LABELS, *((each,) for each in HOSTILE)]
    await put(store, index, *(write(n, reader_labels=each) for n, each in enumerate(labels)))
    for held, expected in READABLE:
        asked = ask(100, labels=None if held is None else frozenset(held))
        assert await found(store, index, asked) == {f"v-{n}" for n in expected}, held


async def test_the_few_that_may_be_read_are_all_found_among_many(
    store: VectorStore, index: str
) -> None:
    vectors = np.random.default_rng(0).normal(size=(2_000, DIMENSION)).astype(np.float32)
    rare = {int(n) for n in np.argsort(vectors @ axis(0))[:20]}  # far from what is asked for
    writes = [write(n, reader_labels=("hr",) if n in rare else ("",)) for n in range(2_000)]
    if (await store.capabilities()).full_text:
        writes = [replace(each, terms="x") for each in writes]
    await store.upsert(index, writes, vectors)
    for _ in range(2):  # as last writes, and as a segment of its own
        asked = ask(50, labels=frozenset({"hr"}))
        assert await found(store, index, asked) == {f"v-{n}" for n in rare}
        await asyncio.sleep(1.0)


DOCUMENTS: list[dict[str, str | float | bool]] = [
    {"lang": "en", "year": 1999.0, "public": True},
    {"lang": "de", "year": 2020.0, "public": False},
    {"lang": 'q"u\\o\nte', "year": -0.5},
    {"lang": 7.0, "year": "2020", "public": 1.0},
    {},
]
E_, NE, LT, LE, GT, GE, IN = Operator


def where(field: str, operator: Operator, *values: str | float | bool) -> Comparison:
    return Comparison(field, operator, values)


FILTERS: list[tuple[Filter, set[int]]] = [
    (where("lang", E_, "en"), {0}),
    (where("lang", E_, 'q"u\\o\nte'), {2}),
    (where("lang", NE, "en"), {1, 2, 3}),
    (where("lang", IN, "en", "de", "fr"), {0, 1}),
    (where("lang", GT, "de"), {0, 2}),
    (where("lang", E_, 7.0), {3}),
    (where("year", LT, 1999.0), {2}),
    (where("year", LE, 1999.0), {0, 2}),
    (where("year", GT, -1.5e300), {0, 1, 2}),
    (where("year", GE, 1999.5), {1}),
    (where("year", E_, -0.5), {2}),
    (where("year", IN, 1999.0, 2020.0), {0, 1}),
    (where("public", E_, True), {0}),
    (where("public", E_, 1.0), {3}),
    (where("public", NE, True), {1, 3}),
    (where("nothing", E_, "x"), set()),
    (where("nothing", NE, "x"), set()),
    (NoneOf((where("nothing", E_, "x"),)), {0, 1, 2, 3, 4}),
    (NoneOf((where("year", LT, 2000.0),)), {1, 3, 4}),
    (NoneOf((NoneOf((where("lang", E_, "en"),)),)), {0}),
    (NoneOf((where("lang", E_, "en"), where("year", GT, 2000.0))), {2, 3, 4}),
    (AllOf((where("lang", E_, "de"), where("year", GT, 2000.0))), {1}),
    (AnyOf((where("lang", E_, "en"), where("year", LT, 0.0))), {0, 2}),
    (AllOf((where("lang", IN, "en", "de"), NoneOf((where("public", E_, False),)))), {0}),
]  # fmt: skip


async def test_filters_mean_the_same_everywhere(store: VectorStore, index: str) -> None:
    await put(store, index, *(write(n, metadata=each) for n, each in enumerate(DOCUMENTS)))
    for asked, expected in FILTERS:
        got = await found(store, index, ask(filter=asked))
        assert got == {f"v-{n}" for n in expected}, asked


async def test_a_filter_of_the_largest_size(store: VectorStore, index: str) -> None:
    await put(store, index, write(0, metadata={"n": 99.0}), write(1, metadata={"n": 1000.0}))
    many = [where("n", IN, *(float(n) for n in range(k, k + 100))) for k in range(0, 400, 100)]
    deepest: Filter = AnyOf((*many, *(where("n", NE, 99.0) for _ in range(60))))
    for _ in range(MAX_DEPTH - 2):
        deepest = NoneOf((deepest,))
    check(deepest, field="filter")
    assert await found(store, index, ask(filter=deepest)) == {"v-0", "v-1"}


@pytest.mark.usefixtures("full_text")
async def test_sparse_scores_are_larger_for_what_matches_better(
    store: VectorStore, index: str
) -> None:
    texts = ["cat cat dog", "cat dog dog dog dog bird", "fish", "cat"]
    await put(store, index, *(write(n, terms=terms) for n, terms in enumerate(texts)))
    hits = await store.search_sparse(index, "cat", ask())
    assert {hit.key for hit in hits} == {"v-0", "v-1", "v-3"}
    assert hits[-1].key == "v-1"
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0


@pytest.mark.usefixtures("full_text")
async def test_terms_are_taken_whole(store: VectorStore, index: str) -> None:
    """The encoded terms of our analysis survive the store's own analyzer."""
    encoded = ["0u42o3dzf2vq", "3", "c3po", "0umnzmhkdnmu"]
    await put(store, index, *(write(n, terms=term) for n, term in enumerate(encoded)))
    for number, term in enumerate(encoded):
        hits = await store.search_sparse(index, term, ask())
        assert [hit.key for hit in hits] == [f"v-{number}"]


@pytest.mark.usefixtures("full_text")
async def test_sparse_search_stays_in_its_scope(store: VectorStore, index: str) -> None:
    await put(
        store,
        index,
        write(0, terms="cat", reader_labels=("hr",)),
        write(1, terms="cat", tenant="other"),
        write(2, terms="cat", metadata={"lang": "en"}),
        write(3, terms="cat"),
    )
    asked = ask(labels=frozenset({""}), filter=where("lang", E_, "en"))
    hits = await store.search_sparse(index, "cat", asked)
    assert [hit.key for hit in hits] == ["v-2"]


@pytest.fixture(
    params=[milvus_lite, pytest.param(real_milvus, marks=pytest.mark.slow)],
    ids=["milvus-lite", "milvus-2.3.5"],
)
def own_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MilvusProcess]:
    """A server to kill; the real one takes most of a minute to be back."""
    with request.param(tmp_path_factory.mktemp("killed")) as process:
        asyncio.run(process.up())
        yield process


async def test_a_store_that_was_away_comes_back_with_all_that_it_acknowledged(
    own_server: MilvusProcess,
) -> None:
    store = MilvusStore(own_server.uri, token="", timeout_s=30.0)
    spec = IndexSpec("gm_kept", DIMENSION, full_text=own_server.full_text)
    await store.create_index(spec)
    await put(store, "gm_kept", *(write(n) for n in range(500)))

    own_server.kill()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.search_dense("gm_kept", axis(0), ask()),
        lambda: store.upsert("gm_kept", [write(0)], np.stack([axis(0)])),
        lambda: store.get("gm_kept", ["v-0"]),
        lambda: store.delete("gm_kept", ["v-0"]),
        lambda: store.create_index(replace(spec, name="gm_new")),
    ]
    for call in calls:
        async with asyncio.timeout(2.0):  # well before timeout_s: it fails fast
            with pytest.raises(Unavailable) as caught:
                await call()
        assert caught.value.reason is Reason.STORE_UNAVAILABLE

    own_server.start()
    await own_server.up()
    assert await store.count("gm_kept") == 500
    assert len(await store.search_dense("gm_kept", axis(0), ask())) == 10
    await store.close()


async def test_a_store_that_hangs_ends_within_the_deadline(server: MilvusProcess | None) -> None:
    if server is None:
        pytest.skip("the fake never hangs")
    patient = MilvusStore(server.uri, token="", timeout_s=30.0)
    hasty = MilvusStore(server.uri, token="", timeout_s=0.5)
    await patient.capabilities()
    await hasty.capabilities()
    server.freeze()
    try:
        async with asyncio.timeout(5.0):
            with pytest.raises(Unavailable):
                await hasty.capabilities()
            with within(0.5), pytest.raises(DeadlineExceeded):
                await patient.capabilities()
    finally:
        server.thaw()
    await patient.capabilities()
    await hasty.close()
    await patient.close()
