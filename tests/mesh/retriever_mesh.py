"""A retriever on the production chassis over a real socket, and a small client to speak to it."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groundmesh.channel import open_channel, translated
from groundmesh.identity import ALL_LABELS, Principal, acting_as
from groundmesh.names import document_id
from groundmesh.testing import running
from groundmesh.v1.collection_pb2 import (
    Collection,
    CreateCollectionRequest,
    IndexConfig,
)
from groundmesh.v1.collection_pb2_grpc import CollectionServiceStub
from groundmesh.v1.common_pb2 import VECTOR_DTYPE_F32, Place, Vectors
from groundmesh.v1.document_pb2 import Chunk, Document, GetDocumentRequest, ListChunksRequest
from groundmesh.v1.document_pb2_grpc import DocumentServiceStub
from groundmesh.v1.embedder_pb2 import EmbeddingModel
from groundmesh.v1.retriever_pb2 import (
    SEARCH_MODE_DENSE,
    ChunkPart,
    SearchRequest,
    SearchResponse,
    UpsertCommit,
    UpsertDocument,
    UpsertDocumentsRequest,
    UpsertDocumentsResponse,
)
from groundmesh.v1.retriever_pb2_grpc import RetrieverServiceStub
from groundmesh_retriever.core import Retriever, RetrieverOptions
from groundmesh_retriever.servicer import retriever_service
from groundmesh_retriever.stores.base import VectorStore
from groundmesh_retriever.stores.milvus import MilvusStore

if TYPE_CHECKING:
    from groundmesh.v1.collection_pb2_grpc import CollectionServiceAsyncStub
    from groundmesh.v1.document_pb2_grpc import DocumentServiceAsyncStub
    from groundmesh.v1.retriever_pb2_grpc import RetrieverServiceAsyncStub

DIMENSION = 16
MODEL = EmbeddingModel(model="fake", revision="1", dimension=DIMENSION, max_input_tokens=64)
ADMIN = Principal("acme", "admin", frozenset({ALL_LABELS}))
PARENT = "tenants/acme/collections/docs"


@dataclass(frozen=True)
class Doc:
    """A document whose lines are its chunks."""

    uri: str
    lines: Sequence[str]
    labels: Sequence[str] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def name(self) -> str:
        return f"{PARENT}/documents/{document_id(self.uri)}"

    def chunks(self) -> list[Chunk]:
        made, at = [], 0
        for ordinal, line in enumerate(self.lines):
            end = at + len(line.encode())
            place = Place(heading_path=["Lines"], page=ordinal + 1)
            made.append(Chunk(ordinal=ordinal, start_byte=at, end_byte=end, tokens=2, place=place))
            at = end + 1
        return made


CATS = Doc("file:///cats", ["Cats sleep all day.", "A kitten is a young cat.", "Ünïcödé 東京 🐈"])
DOGS = Doc("file:///dogs", ["Dogs bark at night.", "A puppy is a young dog."])


def embedded(texts: Sequence[str]) -> Vectors:
    """Vectors that only equal texts share."""
    rows = np.stack([_vector(text) for text in texts])
    return Vectors(
        data=rows.astype("<f4").tobytes(),
        rows=len(rows),
        dimension=rows.shape[1],
        dtype=VECTOR_DTYPE_F32,
    )


def _vector(text: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=DIMENSION)


def steps(doc: Doc, *, parent: str = PARENT, **changes: Any) -> list[UpsertDocumentsRequest]:
    """The messages that write a document, its text in two parts cut anywhere."""
    sent = Document(
        uri=doc.uri,
        title=f"Title of {doc.uri}",
        media_type="text/plain",
        content_sha256=hashlib.sha256(doc.text.encode()).hexdigest(),
        content_bytes=len(doc.text.encode()),
        reader_labels=doc.labels,
    )
    sent.metadata.update(doc.metadata)
    begin = {"embedding_model": "fake", "embedding_revision": "1", **changes}
    text = doc.text.encode()
    return [
        UpsertDocumentsRequest(document=UpsertDocument(parent=parent, document=sent, **begin)),
        UpsertDocumentsRequest(text_part=text[: len(text) // 2]),
        UpsertDocumentsRequest(text_part=text[len(text) // 2 :]),
        UpsertDocumentsRequest(chunks=ChunkPart(chunks=doc.chunks(), vectors=embedded(doc.lines))),
        UpsertDocumentsRequest(commit=UpsertCommit(chunk_count=len(doc.lines))),
    ]


@dataclass
class RetrieverClient:
    """The three services of one retriever, called as ``principal``."""

    collections: "CollectionServiceAsyncStub"
    documents: "DocumentServiceAsyncStub"
    retriever: "RetrieverServiceAsyncStub"
    engine: Retriever

    async def create(
        self, collection_id: str = "docs", tenant: str = "acme", **index: Any
    ) -> Collection:
        request = CreateCollectionRequest(
            parent=f"tenants/{tenant}",
            collection_id=collection_id,
            collection=Collection(index=IndexConfig(embedding=MODEL, **index)),
        )
        with translated():
            response = await self.collections.CreateCollection(request)
        return response.collection

    async def stream(
        self, messages: Iterable[UpsertDocumentsRequest]
    ) -> list[UpsertDocumentsResponse]:
        with translated():
            return [answer async for answer in self.retriever.UpsertDocuments(iter(messages))]

    async def upsert(self, *docs: Doc, **changes: Any) -> list[UpsertDocumentsResponse]:
        return await self.stream(step for doc in docs for step in steps(doc, **changes))

    async def search(self, query: str, **fields: Any) -> SearchResponse:
        request = SearchRequest(
            **{
                "collections": [PARENT],
                "query_text": query,
                "query_vector": embedded([query]),
                "mode": SEARCH_MODE_DENSE,
                **fields,
            }
        )
        with translated():
            return await self.retriever.Search(request)

    async def found(self, query: str, **fields: Any) -> list[str]:
        return [hit.chunk.text for hit in (await self.search(query, **fields)).chunks]

    async def get(self, doc: Doc) -> Document:
        with translated():
            response = await self.documents.GetDocument(GetDocumentRequest(name=doc.name))
        return response.document

    async def lines(self, doc: Doc) -> list[str]:
        with translated():
            response = await self.documents.ListChunks(ListChunksRequest(parent=doc.name))
        return [chunk.text for chunk in response.chunks]


def options(folder: Path, **changes: Any) -> RetrieverOptions:
    return RetrieverOptions(
        **{
            "catalog_url": f"sqlite+aiosqlite:///{folder / 'catalog.db'}",
            "artifact_url": (folder / "artifacts").as_uri(),
            "folder": folder,
            **changes,
        }
    )


@asynccontextmanager
async def retriever_mesh(
    folder: Path, store: VectorStore | str, *, principal: Principal = ADMIN, **changes: Any
) -> AsyncIterator[RetrieverClient]:
    """A retriever over a store (or the Milvus at an address), called as ``principal``."""
    vectors = MilvusStore(store, token="", timeout_s=10.0) if isinstance(store, str) else store
    engine = Retriever(vectors, options(folder, **changes), engine="milvus")
    service = retriever_service(engine)
    async with (
        running(service, identity="trusted") as server,
        open_channel(server.address) as channel,
    ):
        with acting_as(principal):
            yield RetrieverClient(
                CollectionServiceStub(channel),
                DocumentServiceStub(channel),
                RetrieverServiceStub(channel),
                engine,
            )
