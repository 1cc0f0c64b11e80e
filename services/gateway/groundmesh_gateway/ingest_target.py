"""The collection that a stream is for: found or created, and checked against the embedder."""

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
from groundmesh_gateway.ingestion.model import Target
from groundmesh_gateway.splitting import METHOD, Splitting
from groundmesh_gateway.workers import TokenizerFile


async def open_target(begin: gateway_pb2.IngestBegin, downstreams: Downstreams) -> Target:
    """All that documents for the collection of ``begin`` depend on; created first if it says so."""
    name = require_name(begin.parent, CollectionName, field="begin.parent")
    index = (await _collection(name, begin, downstreams)).index
    await _check_served(index, downstreams.embedder)
    stub = embedder_pb2_grpc.EmbedderServiceStub(downstreams.embedder.channel)
    with downstreams.embedder.errors():
        tokenizer = await stub.GetTokenizer(
            embedder_pb2.EmbedderServiceGetTokenizerRequest(model=index.embedding.model)
        )
    return Target(
        collection=str(name),
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
        return await _get(name, downstreams.retriever)
    except NotFound:
        if not begin.create_collection:
            raise
    try:
        return await _create(name, begin.index, downstreams)
    except AlreadyExists:  # another stream was faster
        return await _get(name, downstreams.retriever)


async def _get(name: CollectionName, retriever: Downstream) -> collection_pb2.Collection:
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
            f"the collection is split by {index.splitting.method!r}, the gateway splits by {METHOD}"
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
