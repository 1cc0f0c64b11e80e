"""What every part of the core works on, and what they all look up."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.errors import Aborted, FailedPrecondition, NotFound, Reason, Unavailable
from groundmesh.names import CollectionName, DocumentName
from groundmesh_retriever.catalog import collections, reindexes
from groundmesh_retriever.catalog.database import Database
from groundmesh_retriever.model import (
    Collection,
    CollectionView,
    DocumentHead,
    Index,
    IndexConfig,
    Splitting,
)
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

    async def view(self, connection: AsyncConnection, name: CollectionName) -> CollectionView:
        """The collection of that name with all that is shown beside it, or NotFound."""
        found = await collections.view(connection, name)
        if found is None:
            raise no_collection(name)
        return (await reindexes.beside(connection, [found]))[0]

    async def new_index(self, config: IndexConfig, *, version: int) -> Index:
        """An index to be created, with what the store can do now."""
        capabilities = await self.vectors.capabilities()
        return Index(f"gm_{secrets.token_hex(12)}", version, config, capabilities.full_text)

    async def give_up_index(self, index: Index) -> None:
        """Leave an index that nothing refers to to the sweep."""
        async with self.database.writing() as connection:
            await collections.retire_pending_index(connection, index.id)


@dataclass(frozen=True)
class ModelRef:
    """The model that made some vectors; an empty part is not compared."""

    model: str
    revision: str

    def check(self, collection: Collection) -> None:
        """FailedPrecondition unless it is the collection's own model."""
        self.check_index(collection.index, collection.name)

    def check_index(self, index: Index, collection: CollectionName) -> None:
        """FailedPrecondition unless it is the model of one of the collection's indexes."""
        theirs = index.config.embedding
        for name, mine, wanted in (
            ("model", self.model, theirs.model),
            ("revision", self.revision, theirs.revision),
        ):
            if mine and mine != wanted:
                raise FailedPrecondition(
                    f"{collection} is built with the {name} {wanted!r}, not {mine!r};"
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
        f"the vector store has lost the index of {name}; reindex it: its texts are kept",
        reason=Reason.STORE_UNAVAILABLE,
    )


def index_changed(what: str) -> Aborted:
    """The error for a write whose chunks are not those that its collection needs now."""
    return Aborted(
        f"a reindex began or ended while {what} was written; make its chunks anew",
        reason=Reason.INDEX_CHANGED,
    )


def overtaken(uri: str) -> Aborted:
    """The error for a write that another write or a deletion was faster than."""
    return Aborted(f"{uri} or its collection changed meanwhile; write it again")


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
