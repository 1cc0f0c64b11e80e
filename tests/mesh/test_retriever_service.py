"""The retriever's contract, over the wire, on the production chassis and Milvus Lite."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundmesh.channel import translated
from groundmesh.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    MeshError,
    NotFound,
    Reason,
)
from groundmesh.status import from_status
from groundmesh.v1 import collection_pb2, document_pb2, retriever_pb2
from groundmesh.v1.common_pb2 import VECTOR_DTYPE_F16, Vectors
from groundmesh.v1.retriever_pb2 import (
    SEARCH_MODE_DENSE,
    SEARCH_MODE_HYBRID,
    SEARCH_MODE_SPARSE,
    UPSERT_OUTCOME_CREATED,
    UPSERT_OUTCOME_REPLACED,
    UPSERT_OUTCOME_UNCHANGED,
    UpsertCommit,
    UpsertDocumentsRequest,
    UpsertDocumentsResponse,
)
from tests.fakes.vector_store import FakeVectorStore
from tests.mesh.retriever_mesh import (
    CATS,
    DOGS,
    MODEL,
    PARENT,
    Doc,
    RetrieverClient,
    embedded,
    retriever_mesh,
    steps,
)

pytestmark = pytest.mark.e2e  # has a store of its own


def outcomes(answers: list[UpsertDocumentsResponse]) -> list[object]:
    return [
        answer.upserted.outcome
        if answer.WhichOneof("result") == "upserted"
        else from_status(answer.error).reason
        for answer in answers
    ]


def violations(error: MeshError) -> list[str]:
    return [violation.field for violation in error.fields]


async def test_a_collection_from_creation_to_deletion(client: RetrieverClient) -> None:
    name = "tenants/acme/collections/second"
    created = await client.create("second")
    assert created.name == name
    assert created.index_version == 1
    assert created.index.splitting.max_tokens == MODEL.max_input_tokens
    assert created.index.splitting.overlap_tokens == MODEL.max_input_tokens // 8
    assert created.index.analysis.language == "en"
    assert created.index.embedding == MODEL
    with pytest.raises(AlreadyExists) as caught:
        await client.create("second")
    assert caught.value.reason is Reason.COLLECTION_EXISTS

    changed = collection_pb2.Collection(name=name, description="Now with words")
    await client.collections.UpdateCollection(
        collection_pb2.UpdateCollectionRequest(collection=changed)
    )
    got = await client.collections.GetCollection(collection_pb2.GetCollectionRequest(name=name))
    assert got.collection.description == "Now with words"

    await client.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name=name))
    with pytest.raises(NotFound) as missing, translated():
        await client.collections.GetCollection(collection_pb2.GetCollectionRequest(name=name))
    assert missing.value.reason is Reason.COLLECTION_NOT_FOUND


async def test_collections_are_listed_in_pages(client: RetrieverClient) -> None:
    for number in range(4):
        await client.create(f"c{number}")
    seen, token = [], ""
    while True:
        page = await client.collections.ListCollections(
            collection_pb2.ListCollectionsRequest(
                parent="tenants/acme", page_size=2, page_token=token
            )
        )
        seen += [collection.name.rpartition("/")[2] for collection in page.collections]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["c0", "c1", "c2", "c3", "docs"]


@pytest.mark.parametrize(
    ("splitting", "field"),
    [
        ({"max_tokens": MODEL.max_input_tokens + 1}, "max_tokens"),
        ({"max_tokens": 64, "overlap_tokens": 33}, "overlap_tokens"),
        ({"max_tokens": 64, "overlap_tokens": -1}, "overlap_tokens"),
    ],
)
async def test_splitting_that_can_not_be_is_named(
    client: RetrieverClient, splitting: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await client.create("split", splitting=collection_pb2.SplittingConfig(**splitting))
    assert violations(caught.value) == [f"collection.index.splitting.{field}"]
    half = collection_pb2.SplittingConfig(max_tokens=64, overlap_tokens=32)
    assert (await client.create("split", splitting=half)).index.splitting.overlap_tokens == 32


async def test_a_stream_of_documents_with_bad_ones_between(client: RetrieverClient) -> None:
    broken = steps(Doc("file:///broken", ["One.", "Two."]))
    broken[3].chunks.chunks[1].end_byte = 4_000
    nameless = steps(Doc("", ["One."]))
    wrong_model = steps(Doc("file:///model", ["One."]), embedding_model="another")
    small = steps(Doc("file:///small", ["One."]))
    small[3].chunks.vectors.CopyFrom(Vectors(data=bytes(8), rows=1, dimension=2))
    answers = await client.stream(
        [*steps(CATS), *broken, *nameless, *wrong_model, *small, *steps(DOGS)]
    )
    assert [answer.uri for answer in answers] == [
        CATS.uri,
        "file:///broken",
        "",
        "file:///model",
        "file:///small",
        DOGS.uri,
    ]
    assert outcomes(answers) == [
        UPSERT_OUTCOME_CREATED,
        Reason.INVALID_FIELD,
        Reason.INVALID_FIELD,
        Reason.MODEL_MISMATCH,
        Reason.DIMENSION_MISMATCH,
        UPSERT_OUTCOME_CREATED,
    ]
    assert violations(from_status(answers[1].error)) == ["chunks.chunks[1].start_byte"]
    assert violations(from_status(answers[2].error)) == ["document.uri"]
    assert violations(from_status(answers[4].error)) == ["chunks.vectors.dimension"]
    listed = await client.documents.ListDocuments(document_pb2.ListDocumentsRequest(parent=PARENT))
    assert [document.uri for document in listed.documents] == [CATS.uri, DOGS.uri]
    assert len(await client.found("anything", limit=100)) == len(CATS.lines) + len(DOGS.lines)


async def test_the_same_again_is_unchanged_and_another_text_replaces(
    client: RetrieverClient,
) -> None:
    first = await client.upsert(CATS)
    assert outcomes(first) == [UPSERT_OUTCOME_CREATED]
    assert outcomes(await client.upsert(CATS)) == [UPSERT_OUTCOME_UNCHANGED]
    newer = Doc(CATS.uri, ["Cats have nine lives."])
    [replaced] = await client.upsert(newer)
    assert replaced.upserted.outcome == UPSERT_OUTCOME_REPLACED
    document = replaced.upserted.document
    assert document.create_time == first[0].upserted.document.create_time
    assert document.update_time.ToNanoseconds() > document.create_time.ToNanoseconds()
    assert await client.found("anything", limit=100) == list(newer.lines)
    again = Doc(CATS.uri, newer.lines, metadata={"year": 2001})
    assert outcomes(await client.upsert(again)) == [UPSERT_OUTCOME_REPLACED]


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        (steps(CATS)[1:2], "text_part"),
        (steps(CATS)[:2] + steps(CATS)[:1], "document"),
        (steps(CATS)[:3], "commit"),
        ([UpsertDocumentsRequest()], "step"),
    ],
)
async def test_messages_out_of_order_end_the_stream(
    client: RetrieverClient, messages: list[UpsertDocumentsRequest], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await client.stream(messages)
    assert violations(caught.value) == [field]
    assert await client.found("anything") == []


async def test_a_commit_that_counts_otherwise_is_refused(client: RetrieverClient) -> None:
    messages = [*steps(CATS)[:-1], UpsertDocumentsRequest(commit=UpsertCommit(chunk_count=2))]
    [answer] = await client.stream(messages)
    assert violations(from_status(answer.error)) == ["commit.chunk_count"]
    assert await client.found("anything") == []


async def test_get_text_by_range_and_chunks(client: RetrieverClient) -> None:
    await client.upsert(CATS)
    document = await client.get(CATS)
    text = CATS.text.encode()
    assert (document.name, document.text_bytes, document.chunk_count) == (CATS.name, len(text), 3)

    async def part(start: int, end: int) -> Any:
        return await client.documents.GetDocumentText(
            document_pb2.GetDocumentTextRequest(name=CATS.name, start_byte=start, end_byte=end)
        )

    whole = await part(0, 0)
    assert (whole.text, whole.start_byte, whole.end_byte, whole.total_bytes) == (
        text,
        0,
        len(text),
        len(text),
    )
    assert (await part(5, 10)).text == text[5:10]
    assert (await part(len(text) - 2, 0)).text == text[-2:]
    assert (await part(10_000, 0)).text == b""

    page = await client.documents.ListChunks(
        document_pb2.ListChunksRequest(parent=CATS.name, page_size=2)
    )
    rest = await client.documents.ListChunks(
        document_pb2.ListChunksRequest(parent=CATS.name, page_token=page.next_page_token)
    )
    chunks = [*page.chunks, *rest.chunks]
    assert [chunk.text for chunk in chunks] == list(CATS.lines)
    assert [text[c.start_byte : c.end_byte].decode() for c in chunks] == list(CATS.lines)
    assert chunks[2].place.page == 3
    assert list(chunks[2].place.heading_path) == ["Lines"]
    assert len({chunk.chunk_id for chunk in chunks}) == 3


async def test_deleting_a_document(client: RetrieverClient, tmp_path: Path) -> None:
    await client.upsert(CATS, DOGS)
    await client.documents.DeleteDocument(
        document_pb2.DeleteDocumentRequest(name=CATS.name, purge=True)
    )
    assert await client.found("x", limit=100) != []
    assert set(await client.found("x", limit=100)) == set(DOGS.lines)
    with pytest.raises(NotFound) as caught:
        await client.get(CATS)
    assert caught.value.reason is Reason.DOCUMENT_NOT_FOUND
    kept = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert [path.read_text() for path in kept] == [DOGS.text]


async def test_a_text_that_two_documents_share_outlives_one_of_them(
    client: RetrieverClient,
) -> None:
    twin = Doc("file:///twin", CATS.lines)
    await client.upsert(CATS, twin)
    await client.documents.DeleteDocument(
        document_pb2.DeleteDocumentRequest(name=CATS.name, purge=True)
    )
    text = await client.documents.GetDocumentText(
        document_pb2.GetDocumentTextRequest(name=twin.name)
    )
    assert text.text.decode() == twin.text


async def test_vectors_of_another_model_are_refused(client: RetrieverClient) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await client.search("x", embedding_revision="2")
    assert caught.value.reason is Reason.MODEL_MISMATCH


async def test_a_store_without_full_text_serves_dense_only(tmp_path: Path) -> None:
    async with retriever_mesh(tmp_path, FakeVectorStore(full_text=False)) as client:
        await client.create()
        await client.upsert(CATS)
        for mode in (SEARCH_MODE_SPARSE, SEARCH_MODE_HYBRID):
            with pytest.raises(FailedPrecondition) as caught:
                await client.search("cats", mode=mode)
            assert caught.value.reason is Reason.FULL_TEXT_UNSUPPORTED
        chosen = await client.search(CATS.lines[1], mode=retriever_pb2.SEARCH_MODE_UNSPECIFIED)
        assert chosen.mode == SEARCH_MODE_DENSE
        assert chosen.chunks[0].chunk.text == CATS.lines[1]


async def test_readers_never_see_both_versions_or_neither(client: RetrieverClient) -> None:
    versions = [Doc("file:///it", [f"version {n} line {i}" for i in range(5)]) for n in range(12)]
    await client.upsert(versions[0])
    done = asyncio.Event()

    async def read() -> int:
        reads = 0
        while not done.is_set():
            texts = await client.found("x", limit=100)
            assert len({text.split(" line")[0] for text in texts}) == 1, texts
            assert len(texts) == 5
            reads += 1
        return reads

    readers = [asyncio.create_task(read()) for _ in range(3)]
    for version in versions[1:]:
        assert outcomes(await client.upsert(version)) == [UPSERT_OUTCOME_REPLACED]
    done.set()
    assert all([await reader > 3 for reader in readers])


async def test_of_two_writers_of_one_document_one_wins_whole(client: RetrieverClient) -> None:
    docs = [Doc("file:///it", [f"writer {n} line {i}" for i in range(20)]) for n in range(6)]
    await asyncio.gather(*(client.upsert(doc) for doc in docs))
    texts = await client.found("x", limit=100)
    assert len({text.split(" line")[0] for text in texts}) == 1
    assert len(texts) == 20
    assert await client.lines(docs[0]) in [list(doc.lines) for doc in docs]


async def test_vectors_may_be_halves(client: RetrieverClient) -> None:
    sent = embedded(["x"])
    halves = np.frombuffer(sent.data, "<f4").astype("<f2").tobytes()
    vector = Vectors(data=halves, rows=1, dimension=sent.dimension, dtype=VECTOR_DTYPE_F16)
    await client.upsert(Doc("u", ["x", "y"]))
    assert await client.found("", query_vector=vector, limit=1) == ["x"]
