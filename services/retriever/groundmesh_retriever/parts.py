"""What every part of the core works on, and what they all look up."""

import hashlib
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.errors import FailedPrecondition, NotFound, Reason, Unavailable
from groundmesh.names import CollectionName, DocumentName
from groundmesh_retriever.catalog import collections
from groundmesh_retriever.catalog.database import Database
from groundmesh_retriever.model import Collection, DocumentHead, Splitting
from groundmesh_retriever.page_tokens import PageTokens
from groundmesh_retriever.stores.base import VectorStore
from groundmesh_retriever.stores.texts import TextStore


@dataclass(frozen=True)
class Parts:
    """The three homes of the retriever's state."""

    database: Database
    vectors: VectorStore
    texts: TextStore

    async def page_tokens(self) -> PageTokens:
        """The page tokens of this catalog."""
        return PageTokens(await self.database.secret("page_tokens"))

    async def collection(self, name: CollectionName) -> Collection:
        """The collection of that name, or NotFound."""
        async with self.database.reading() as connection:
            return await found_collection(connection, name)


@dataclass(frozen=True)
class ModelRef:
    """The model that made some vectors; an empty part is not compared."""

    model: str
    revision: str

    def check(self, collection: Collection) -> None:
        """FailedPrecondition unless it is the collection's own model."""
        theirs = collection.index.config.embedding
        for name, mine, wanted in (
            ("model", self.model, theirs.model),
            ("revision", self.revision, theirs.revision),
        ):
            if mine and mine != wanted:
                raise FailedPrecondition(
                    f"{collection.name} is built with the {name} {wanted!r}, not {mine!r};"
                    " vectors of two models never mix",
                    reason=Reason.MODEL_MISMATCH,
                )


async def found_collection(connection: AsyncConnection, name: CollectionName) -> Collection:
    """The collection of that name in a transaction that goes on, or NotFound."""
    found = await collections.find(connection, name)
    if found is None:
        raise no_collection(name)
    return found


def no_collection(name: CollectionName) -> NotFound:
    """The error for a collection that is not there."""
    return NotFound(f"no collection {name}", reason=Reason.COLLECTION_NOT_FOUND)


def lost_index(name: CollectionName) -> Unavailable:
    """The error for a collection whose index the catalog knows and the vector store does not."""
    return Unavailable(
        f"the vector store has lost the index of {name}; delete the collection and ingest it again",
        reason=Reason.STORE_UNAVAILABLE,
    )


def no_document(name: DocumentName) -> NotFound:
    """The error for a document that is not there, or not to be read by who asks."""
    return NotFound(f"no document {name}", reason=Reason.DOCUMENT_NOT_FOUND)


def chunk_id(document: DocumentHead, splitting: Splitting, ordinal: int) -> str:
    """What a chunk is known by outside: the same for the same content, whenever it was written."""
    parts = (
        str(document.name),
        document.content_sha256,
        document.text_sha256,
        splitting.method,
        str(splitting.max_tokens),
        str(splitting.overlap_tokens),
        str(ordinal),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def chunk_keys(version: str, ordinals: range) -> list[str]:
    """The keys, in the vector store, of chunks of one version of a document."""
    return [f"{version}-{ordinal}" for ordinal in ordinals]


def version_of(chunk_key: str) -> str:
    """The version that a chunk belongs to."""
    return chunk_key.rpartition("-")[0]
