"""Calibrations in the retriever's catalog: set, refused, listed, removed; lost with the model."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from groundmesh.channel import translated
from groundmesh.errors import InvalidArgument
from groundmesh.v1.collection_pb2 import (
    BeginReindexRequest,
    Calibration,
    Collection,
    CommitReindexRequest,
    GetCollectionRequest,
    IndexConfig,
    ListCollectionsRequest,
    SplittingConfig,
    UpdateCollectionRequest,
)
from groundmesh.v1.embedder_pb2 import EmbeddingModel
from tests.fakes.vector_store import FakeVectorStore
from tests.mesh.retriever_mesh import MODEL, PARENT, RetrieverClient, retriever_mesh

MEASURED = Calibration(
    min_evidence=0.5,
    auc=0.75,
    false_refusal_rate=0.0625,
    false_answer_rate=0.125,
    answerable_questions=200,
    unanswerable_questions=300,
)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[RetrieverClient]:
    async with retriever_mesh(tmp_path, FakeVectorStore()) as client:
        await client.create()
        yield client


async def update(client: RetrieverClient, *paths: str, **fields: Any) -> Collection:
    request = UpdateCollectionRequest(
        collection=Collection(name=PARENT, **fields), update_mask=FieldMask(paths=paths)
    )
    with translated():
        return (await client.collections.UpdateCollection(request)).collection


async def reindex(client: RetrieverClient, **index: Any) -> Collection:
    """Of a collection without documents: begun and committed."""
    request = BeginReindexRequest(name=PARENT, index=IndexConfig(**index))
    begun = (await client.collections.BeginReindex(request)).reindex
    commit = CommitReindexRequest(name=PARENT, reindex_id=begun.reindex_id)
    return (await client.collections.CommitReindex(commit)).collection


async def test_it_is_set_shown_and_removed(client: RetrieverClient) -> None:
    made = await update(client, "calibration", calibration=MEASURED, description="not this")
    assert made.calibration.update_time.ToSeconds() > 0
    assert made.description == ""
    made.calibration.ClearField("update_time")
    assert made.calibration == MEASURED

    both = await update(client, "description", description="All of it")
    assert both.calibration.min_evidence == 0.5
    got = await client.collections.GetCollection(GetCollectionRequest(name=PARENT))
    listed = await client.collections.ListCollections(ListCollectionsRequest(parent="tenants/acme"))
    assert [got.collection] == list(listed.collections) == [both]

    removed = await update(client, "calibration", "description")
    assert not removed.HasField("calibration")
    assert removed.description == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_evidence", 1.5),
        ("min_evidence", -1.5),
        ("min_evidence", float("nan")),
        ("auc", 1.01),
        ("false_refusal_rate", -0.01),
        ("false_answer_rate", float("inf")),
        ("answerable_questions", -1),
        ("unanswerable_questions", -1),
    ],
)
async def test_what_nobody_can_have_measured_is_refused(
    client: RetrieverClient, field: str, value: Any
) -> None:
    wrong = Calibration()
    wrong.CopyFrom(MEASURED)
    setattr(wrong, field, value)
    with pytest.raises(InvalidArgument) as caught:
        await update(client, "calibration", calibration=wrong)
    assert [each.field for each in caught.value.fields] == [f"collection.calibration.{field}"]
    got = await client.collections.GetCollection(GetCollectionRequest(name=PARENT))
    assert not got.collection.HasField("calibration")


async def test_another_field_is_refused(client: RetrieverClient) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await update(client, "calibration", "index")
    assert [each.field for each in caught.value.fields] == ["update_mask"]


async def test_it_goes_with_its_embedding_model(client: RetrieverClient) -> None:
    await update(client, "calibration", calibration=MEASURED)
    kept = await reindex(client, splitting=SplittingConfig(max_tokens=32))
    assert (kept.index.splitting.max_tokens, kept.calibration.min_evidence) == (32, 0.5)
    other = EmbeddingModel()
    other.CopyFrom(MODEL)
    other.revision = "2"
    gone = await reindex(client, embedding=other)
    assert gone.index.embedding.revision == "2"
    assert not gone.HasField("calibration")
