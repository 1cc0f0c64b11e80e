"""What the index of a new collection takes where its creator left it out."""

from groundmesh.errors import NotFound, Reason
from groundmesh.v1 import collection_pb2, embedder_pb2, embedder_pb2_grpc
from groundmesh_gateway.downstreams import Downstream
from groundmesh_gateway.splitting import METHOD


async def complete_index(index: collection_pb2.IndexConfig, embedder: Downstream) -> None:
    """Fill in ``index.embedding`` from what the embedder serves now, and how we split.

    A model may be named, and nothing else of it: its dimension, say, is no matter of choice.
    """
    index.embedding.CopyFrom(await _embedding_model(index.embedding.model, embedder))
    index.splitting.method = METHOD


async def _embedding_model(name: str, embedder: Downstream) -> embedder_pb2.EmbeddingModel:
    stub = embedder_pb2_grpc.EmbedderServiceStub(embedder.channel)
    with embedder.errors():
        served = await stub.ListModels(embedder_pb2.EmbedderServiceListModelsRequest())
    for model in served.embedding_models:
        if name in ("", model.model):
            return model
    names = ", ".join(model.model for model in served.embedding_models)
    raise NotFound(
        f"the embedder does not serve {name!r}, but {names}", reason=Reason.MODEL_NOT_FOUND
    )
