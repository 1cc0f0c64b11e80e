"""What a retriever refuses to write: wrong vectors, and chunks for an index that is none."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from groundmesh.channel import translated
from groundmesh.errors import MeshError, PermissionDenied, Reason
from groundmesh.identity import Principal, acting_as
from groundmesh.status import from_status
from groundmesh.v1.collection_pb2 import BeginReindexRequest, IndexConfig, Reindex
from groundmesh.v1.embedder_pb2 import EmbeddingModel
from groundmesh.v1.retriever_pb2 import (
    ChunkPart,
    ShadowTarget,
    UpsertCommit,
    UpsertDocumentsRequest,
)
from tests.fakes.vector_store import FakeVectorStore
from tests.mesh.retriever_mesh import (
    PARENT,
    Doc,
    RetrieverClient,
    embedded,
    retriever_mesh,
    steps,
)

DOC = Doc("file:///a", ["one", "two"])
NEW = EmbeddingModel(model="new", revision="2", dimension=16, max_input_tokens=64)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[RetrieverClient]:
    async with retriever_mesh(tmp_path, FakeVectorStore()) as made:
        await made.create()
        yield made


async def begun(client: RetrieverClient) -> Reindex:
    request = BeginReindexRequest(name=PARENT, index=IndexConfig(embedding=NEW))
    with translated():
        return (await client.collections.BeginReindex(request)).reindex


def with_shadow(reindex: Reindex, **changes: Any) -> list[UpsertDocumentsRequest]:
    """The document with chunks for both indexes."""
    target = {"reindex_id": reindex.reindex_id, "embedding_model": "new", "embedding_revision": "2"}
    begin, *texts, chunks, _ = steps(DOC, shadow=ShadowTarget(**{**target, **changes}))
    shadow = ChunkPart(chunks=DOC.chunks(), vectors=embedded(DOC.lines), shadow=True)
    commit = UpsertCommit(chunk_count=2, shadow_chunk_count=2)
    return [
        begin,
        *texts,
        chunks,
        UpsertDocumentsRequest(chunks=shadow),
        UpsertDocumentsRequest(commit=commit),
    ]


async def refusal(client: RetrieverClient, messages: list[UpsertDocumentsRequest]) -> MeshError:
    (answer,) = await client.stream(messages)
    return from_status(answer.error)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"embedding_model": "other"}, Reason.MODEL_MISMATCH),
        ({"embedding_revision": "2"}, Reason.MODEL_MISMATCH),
        ({"embedding_model": ""}, Reason.INVALID_FIELD),
        ({"index_version": 2}, Reason.INDEX_CHANGED),
        ({"shadow": ShadowTarget(reindex_id="x")}, Reason.INDEX_CHANGED),
    ],
)
async def test_chunks_of_another_index(
    client: RetrieverClient, changes: dict[str, Any], reason: Reason
) -> None:
    assert (await refusal(client, steps(DOC, **changes))).reason is reason


async def test_vectors_of_another_dimension(client: RetrieverClient) -> None:
    messages = steps(DOC)
    vectors = messages[3].chunks.vectors
    vectors.dimension //= 2
    vectors.data = vectors.data[: len(vectors.data) // 2]
    assert (await refusal(client, messages)).reason is Reason.DIMENSION_MISMATCH


async def test_a_write_for_one_index_while_there_are_two(client: RetrieverClient) -> None:
    reindex = await begun(client)
    assert (await refusal(client, steps(DOC))).reason is Reason.INDEX_CHANGED
    answers = await client.stream(with_shadow(reindex))
    assert answers[0].WhichOneof("result") == "upserted"


async def test_a_write_that_a_reindex_overtakes(client: RetrieverClient) -> None:
    call = client.retriever.UpsertDocuments()
    messages = steps(DOC)
    for step in messages[:-1]:
        await call.write(step)
    await begun(client)
    await call.write(messages[-1])
    answer: Any = await call.read()
    assert from_status(answer.error).reason is Reason.INDEX_CHANGED
    call.cancel()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"embedding_model": "fake"}, Reason.MODEL_MISMATCH),
        ({"embedding_revision": "1"}, Reason.MODEL_MISMATCH),
        ({"embedding_revision": ""}, Reason.INVALID_FIELD),
        ({"reindex_id": "another"}, Reason.INDEX_CHANGED),
    ],
)
async def test_wrong_chunks_for_the_shadow(
    client: RetrieverClient, changes: dict[str, Any], reason: Reason
) -> None:
    messages = with_shadow(await begun(client), **changes)
    assert (await refusal(client, messages)).reason is reason


async def test_who_does_not_read_all_can_t_reindex(client: RetrieverClient) -> None:
    reader = Principal("acme", "reader", frozenset({"hr"}))
    with acting_as(reader), pytest.raises(PermissionDenied) as caught:
        await begun(client)
    assert caught.value.reason is Reason.LABELS_NOT_HELD
