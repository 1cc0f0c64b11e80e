"""The collection that a stream is for: found or created, and checked against the embedder."""

from dataclasses import replace

from groundmesh.errors import AlreadyExists, FailedPrecondition, NotFound, Reason
from groundmesh.names import CollectionName
from groundmesh.server.checks import require_name
from groundmesh.v1 import (
    collection_pb2,
    collection_pb2_grpc,
    embedder_pb2,
    embedder_pb2_grpc,
    gateway_pb2,
)
from groundmesh_gateway.downstreams import Downstream, Downstreams
from groundmesh_gateway.index_defaults import complete_index
from groundmesh_gateway.ingestion.model import Plan, Target
from groundmesh_gateway.splitting import METHOD, Splitting
from groundmesh_gateway.workers import TokenizerFile


async def open_plan(begin: gateway_pb2.IngestBegin, downstreams: Downstreams) -> Plan:
    """Where documents for the collection of ``begin`` go; created first if it says so."""
    name = require_name(begin.parent, CollectionName, field="begin.parent")
    return await _plan(await _collection(name, begin, downstreams), downstreams)


async def reread_plan(collection: str, downstreams: Downstreams) -> Plan:
    """Where documents for a collection go now."""
    name = CollectionName.parse(collection, field="collection")
    return await _plan(await get_collection(name, downstreams.retriever), downstreams)


async def shadow_target(
    name: CollectionName, reindex_id: str, downstreams: Downstreams
) -> tuple[Target, collection_pb2.Collection]:
    """The shadow index of a reindex, and its collection."""
    collection = await get_collection(name, downstreams.retriever)
    if not collection.HasField("reindex") or collection.reindex.reindex_id != reindex_id:
        raise FailedPrecondition(
            f"the reindex {reindex_id!r} of {name} is not under way", reason=Reason.REINDEX_OVER
        )
    return await _shadow(collection, downstreams.embedder), collection


async def _plan(collection: collection_pb2.Collection, downstreams: Downstreams) -> Plan:
    serving = await _target(collection.name, collection.index, downstreams.embedder)
    serving = replace(serving, index_version=collection.index_version)
    if not collection.HasField("reindex"):
        return Plan(serving)
    return Plan(serving, await _shadow(collection, downstreams.embedder))


async def _shadow(collection: collection_pb2.Collection, embedder: Downstream) -> Target:
    reindex = collection.reindex
    target = await _target(collection.name, reindex.index, embedder)
    return replace(target, index_version=reindex.index_version, reindex_id=reindex.reindex_id)


async def _target(name: str, index: collection_pb2.IndexConfig, embedder: Downstream) -> Target:
    await _check_served(index, embedder)
    stub = embedder_pb2_grpc.EmbedderServiceStub(embedder.channel)
    with embedder.errors():
        tokenizer = await stub.GetTokenizer(
            embedder_pb2.EmbedderServiceGetTokenizerRequest(model=index.embedding.model)
        )
    return Target(
        collection=name,
        splitting=Splitting(index.splitting.max_tokens, index.splitting.overlap_tokens),
        model=index.embedding.model,
        revision=index.embedding.revision,
        passage_prompt=index.embedding.passage_prompt,
        model_tokens=tokenizer.max_input_tokens,
        tokenizer=TokenizerFile(tokenizer.tokenizer_json, tokenizer.sha256),
    )


async def _collection(
    name: CollectionName, begin: gateway_pb2.IngestBegin, downstreams: Downstreams
) -> collection_pb2.Collection:
    try:
        return await get_collection(name, downstreams.retriever)
    except NotFound:
        if not begin.create_collection:
            raise
    try:
        return await _create(name, begin.index, downstreams)
    except AlreadyExists:  # another stream was faster
        return await get_collection(name, downstreams.retriever)


async def get_collection(name: CollectionName, retriever: Downstream) -> collection_pb2.Collection:
    """A collection as it is now."""
    stub = collection_pb2_grpc.CollectionServiceStub(retriever.channel)
    with retriever.errors():
        response = await stub.GetCollection(collection_pb2.GetCollectionRequest(name=str(name)))
    return response.collection


async def _create(
    name: CollectionName, index: collection_pb2.IndexConfig, downstreams: Downstreams
) -> collection_pb2.Collection:
    request = collection_pb2.CreateCollectionRequest(
        parent=f"tenants/{name.tenant}",
        collection_id=name.collection,
        collection=collection_pb2.Collection(index=index),
    )
    await complete_index(request.collection.index, downstreams.embedder)
    stub = collection_pb2_grpc.CollectionServiceStub(downstreams.retriever.channel)
    with downstreams.retriever.errors():
        response = await stub.CreateCollection(request)
    return response.collection


async def _check_served(index: collection_pb2.IndexConfig, embedder: Downstream) -> None:
    """FAILED_PRECONDITION when what is ingested now would not go with what is in there."""
    if index.splitting.method != METHOD:
        raise FailedPrecondition(
            f"the collection is split by {index.splitting.method!r}, the gateway splits by"
            f" {METHOD}; reindex it (groundmesh collections reindex)"
        )
    stub = embedder_pb2_grpc.EmbedderServiceStub(embedder.channel)
    with embedder.errors():
        served = await stub.ListModels(embedder_pb2.EmbedderServiceListModelsRequest())
    wanted = (index.embedding.model, index.embedding.revision)
    models = [(model.model, model.revision) for model in served.embedding_models]
    if wanted not in models:
        raise FailedPrecondition(
            f"the collection has vectors of {_said(wanted)}, the embedder serves "
            + ", ".join(map(_said, models)),
            reason=Reason.MODEL_MISMATCH,
        )


def _said(model: tuple[str, str]) -> str:
    name, revision = model
    return f"{name} (revision {revision[:12]})"
