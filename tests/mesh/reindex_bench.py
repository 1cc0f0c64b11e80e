"""A gateway before a real retriever core and a fake embedder of several models, on real sockets."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import numpy as np

from groundmesh.channel import open_channel, translated
from groundmesh.names import document_id
from groundmesh.testing import running
from groundmesh.v1 import collection_pb2, document_pb2, embedder_pb2, gateway_pb2
from groundmesh.v1.collection_pb2_grpc import CollectionServiceStub
from groundmesh.v1.document_pb2_grpc import DocumentServiceStub
from groundmesh.v1.gateway_pb2_grpc import GatewayServiceStub
from groundmesh_gateway.service import gateway_service
from groundmesh_gateway.settings import GatewaySettings
from groundmesh_retriever.core import Retriever
from groundmesh_retriever.servicer import retriever_service
from groundmesh_retriever.stores.base import VectorStore
from tests.fakes.embedder_service import MAX_INPUT_TOKENS, FakeEmbedderService
from tests.mesh.ingest_bench import Events, document
from tests.mesh.retriever_mesh import options

if TYPE_CHECKING:
    from groundmesh.v1.collection_pb2_grpc import CollectionServiceAsyncStub
    from groundmesh.v1.document_pb2_grpc import DocumentServiceAsyncStub
    from groundmesh.v1.gateway_pb2_grpc import GatewayServiceAsyncStub

COLLECTION = "tenants/default/collections/docs"
OTHER_MODEL = "other-fake-model"

Place = tuple[tuple[str, ...], int]
ChunkFacts = tuple[int, int, int, str, Place, int]


class HashEmbedder(FakeEmbedderService):
    """Vectors that only equal texts share; answers queries, too."""

    async def Embed(
        self, request: embedder_pb2.EmbedRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> embedder_pb2.EmbedResponse:
        answer = await self._embedded(request)
        answer.items.extend(embedder_pb2.EmbeddedItem(tokens=1) for _ in request.texts)
        return answer

    def row(self, text: str, dimension: int) -> bytes:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).normal(size=dimension).astype("<f4").tobytes()


def hash_embedder() -> HashEmbedder:
    made = HashEmbedder(remember_texts=False, max_input_tokens=MAX_INPUT_TOKENS)  # type: ignore[abstract]
    made.models[OTHER_MODEL] = 4
    return made


def text_of(number: int, version: str = "first") -> bytes:
    """A document with headings and enough words for several chunks."""
    parts = [
        f"# Part {part} of {number}\n\n" + f"The {version} words of number {number}. " * 12
        for part in range(2)
    ]
    return "\n\n".join(parts).encode()


def uri_of(number: int) -> str:
    return f"file:///{number:03}.md"


@dataclass
class ReindexClient:
    """What a test asks of a gateway."""

    address: str
    collections: "CollectionServiceAsyncStub"
    documents: "DocumentServiceAsyncStub"
    gateway: "GatewayServiceAsyncStub"

    async def ingest(
        self,
        numbers: Iterable[int],
        version: str = "first",
        *,
        parent: str = COLLECTION,
        **index: Any,
    ) -> Events:
        """Ingest documents; ``index`` are the settings of a collection that is not there."""
        begin = gateway_pb2.IngestBegin(
            parent=parent, create_collection=True, index=collection_pb2.IndexConfig(**index)
        )
        messages = [gateway_pb2.IngestRequest(begin=begin)]
        for number in numbers:
            messages += document(uri_of(number), text_of(number, version))
        events = Events()
        with translated():
            async for response in self.gateway.Ingest(iter(messages)):
                events.add(response)
        return events

    async def delete(self, number: int) -> None:
        name = f"{COLLECTION}/documents/{document_id(uri_of(number))}"
        with translated():
            await self.documents.DeleteDocument(document_pb2.DeleteDocumentRequest(name=name))

    async def collection(self) -> collection_pb2.Collection:
        with translated():
            request = collection_pb2.GetCollectionRequest(name=COLLECTION)
            return (await self.collections.GetCollection(request)).collection

    async def begin(self, *, request_id: str = "", **index: Any) -> collection_pb2.Reindex:
        request = collection_pb2.BeginReindexRequest(
            name=COLLECTION, index=collection_pb2.IndexConfig(**index), request_id=request_id
        )
        with translated():
            return (await self.collections.BeginReindex(request)).reindex

    async def run(self, reindex_id: str) -> list[gateway_pb2.RunReindexResponse]:
        request = gateway_pb2.RunReindexRequest(name=COLLECTION, reindex_id=reindex_id)
        with translated():
            return [event async for event in self.gateway.RunReindex(request)]

    async def commit(self, reindex_id: str) -> collection_pb2.Collection:
        request = collection_pb2.CommitReindexRequest(name=COLLECTION, reindex_id=reindex_id)
        with translated():
            return (await self.collections.CommitReindex(request)).collection

    async def abandon(self, reindex_id: str) -> collection_pb2.Collection:
        request = collection_pb2.AbandonReindexRequest(name=COLLECTION, reindex_id=reindex_id)
        with translated():
            return (await self.collections.AbandonReindex(request)).collection

    async def search(self, query: str, limit: int = 10) -> list[str]:
        """URIs of what is found."""
        request = gateway_pb2.GatewayServiceSearchRequest(
            collections=[COLLECTION],
            query=query,
            retrieval=gateway_pb2.RetrievalOptions(limit=limit),
        )
        with translated():
            return [hit.uri for hit in (await self.gateway.Search(request)).chunks]

    async def chunks(self, parent: str = COLLECTION) -> dict[str, Sequence[ChunkFacts]]:
        """Every chunk of every document, by URI."""
        request = document_pb2.ListDocumentsRequest(parent=parent, page_size=1_000)
        with translated():
            listed = (await self.documents.ListDocuments(request)).documents
            return {each.uri: await self._chunks_of(each) for each in listed}

    async def _chunks_of(self, of: document_pb2.Document) -> Sequence[ChunkFacts]:
        request = document_pb2.ListChunksRequest(parent=of.name, page_size=1_000)
        chunks = (await self.documents.ListChunks(request)).chunks
        assert len(chunks) == of.chunk_count
        return [(c.ordinal, c.start_byte, c.end_byte, c.text, _place(c), c.tokens) for c in chunks]


@dataclass
class ReindexBench(ReindexClient):
    """A gateway, and what is behind it."""

    embedder: HashEmbedder
    retriever: Retriever


def _place(chunk: document_pb2.Chunk) -> Place:
    return tuple(chunk.place.heading_path), chunk.place.page


@asynccontextmanager
async def reindex_client(address: str) -> AsyncIterator[ReindexClient]:
    """A client of the gateway at an address."""
    async with open_channel(address) as channel:
        yield ReindexClient(
            address,
            CollectionServiceStub(channel),
            DocumentServiceStub(channel),
            GatewayServiceStub(channel),
        )


@asynccontextmanager
async def reindex_bench(
    folder: Path, store: VectorStore, *, embedder: HashEmbedder | None = None, **changes: Any
) -> AsyncIterator[ReindexBench]:
    """All of them; ``changes`` are of the retriever's options."""
    embedder = embedder or hash_embedder()
    engine = Retriever(
        store, options(folder, **{"replaced_index_s": 0.0, **changes}), engine="fake"
    )
    async with AsyncExitStack() as stack:
        behind = {
            "embedder": await stack.enter_async_context(running(embedder.service())),
            "retriever": await stack.enter_async_context(running(retriever_service(engine))),
        }
        addresses: Any = {name: server.address for name, server in behind.items()}
        settings = GatewaySettings(
            parse_workers=1,
            patience_s=60.0,
            embed_batch_texts=8,
            **addresses,
        )
        server = await stack.enter_async_context(running(gateway_service(settings)))
        client = await stack.enter_async_context(reindex_client(server.address))
        yield ReindexBench(**vars(client), embedder=embedder, retriever=engine)
