"""Rows to put into a catalog."""

import secrets

from groundmesh.names import CollectionName, DocumentName, document_id
from groundmesh_retriever.catalog import (
    chunk_sets,
    collections,
    documents,
    times,
)
from groundmesh_retriever.catalog.chunk_sets import Attempt
from groundmesh_retriever.catalog.database import Database
from groundmesh_retriever.model import (
    Collection,
    Document,
    DocumentDraft,
    EmbeddingModel,
    Index,
    IndexConfig,
    Pooling,
    Splitting,
)


def collection(name: str = "docs", tenant: str = "acme") -> Collection:
    embedding = EmbeddingModel("m", "r", 8, 256, Pooling.MEAN, normalized=True)
    config = IndexConfig(embedding, Splitting(256, 32, "s1"), "en")
    now = times.to_datetime(times.now())
    index = Index(secrets.token_hex(16), 1, config, full_text=True)
    return Collection(secrets.token_hex(16), CollectionName(tenant, name), "About", index, now, now)


async def added(database: Database, made: Collection) -> Collection:
    async with database.writing() as connection:
        await collections.add_pending_index(connection, made.uid, made.index)
        await collections.add(connection, made)
        found = await collections.find(connection, made.name)
    assert found is not None
    return found


def document(of: Collection, uri: str, labels: tuple[str, ...] = ()) -> Document:
    draft = DocumentDraft(uri, "T", "text/plain", "0" * 64, 5, labels, {"year": 1.0, "on": True})
    name = DocumentName(of.name.tenant, of.name.collection, document_id(uri))
    now = times.to_datetime(times.now())
    return Document(name, draft, "a" * 64, 5, 3, now, now)


def attempt(of: Collection, version: str, document: str) -> Attempt:
    return Attempt(version, of.index.id, of.uid, document, text_sha256="a" * 64)


async def committed(database: Database, of: Collection, made: Document) -> str:
    version = secrets.token_hex(16)
    async with database.writing() as connection:
        await chunk_sets.begin(connection, attempt(of, version, made.name.document), chunk_count=0)
        old = await documents.find(connection, of, made.name.document, labels=None)
        if old is not None:
            await chunk_sets.retire_document(connection, of.uid, made.name.document)
        moment = await collections.touch(connection, of.uid)
        assert moment is not None
        assert await chunk_sets.make_live(connection, version, moment=moment)
        await documents.put(connection, of, made)
    return version
