"""Which model a query's vector must come from: that of the collection it is put to."""

from groundmesh.v1 import collection_pb2, collection_pb2_grpc
from groundmesh_gateway.downstreams import Downstream

_MOST = 10_000


class QueryModels:
    """The models of collections, as far as they are known to be other than the default.

    Nothing is asked before a search: a vector of the wrong model is refused by the retriever, and
    that is when the right one is learned. So the commit of a reindex costs the first search after
    it one more turn, and no search an error.
    """

    def __init__(self, retriever: Downstream) -> None:
        self._retriever = retriever
        self._known: dict[str, str] = {}

    def of(self, collection: str) -> str:
        """The model to embed with; empty: the embedder's default."""
        return self._known.get(collection, "")

    def know(self, collection: str, model: str) -> None:
        """Keep in mind what has turned out to be right; the oldest is forgotten."""
        self._known.pop(collection, None)
        self._known[collection] = model
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    async def ask(self, collection: str) -> str:
        """The model that a collection has now."""
        stub = collection_pb2_grpc.CollectionServiceStub(self._retriever.channel)
        with self._retriever.errors():
            response = await stub.GetCollection(
                collection_pb2.GetCollectionRequest(name=collection)
            )
        return response.collection.index.embedding.model
