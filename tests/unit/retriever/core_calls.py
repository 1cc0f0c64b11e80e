"""A retriever's core without a server, over the fake store: written to and searched in it."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from groundmesh.identity import Principal
from groundmesh.names import CollectionName, DocumentName, document_id
from groundmesh_retriever.core import Retriever, RetrieverOptions
from groundmesh_retriever.model import (
    ChunkSpan,
    DocumentDraft,
    EmbeddingModel,
    IndexConfig,
    Place,
    Splitting,
)
from groundmesh_retriever.parts import ModelRef
from groundmesh_retriever.query import Mode, Query, Result
from groundmesh_retriever.stores.base import Vectors, VectorStore
from groundmesh_retriever.upload import Upload
from groundmesh_retriever.uploads import Made

NAME = CollectionName("default", "docs")
ME = Principal.local()
MODEL = ModelRef("m", "r")
CONFIG = IndexConfig(EmbeddingModel("m", "r", 2, 64), Splitting(64, 8, "s"), "en")


@asynccontextmanager
async def core_over(store: VectorStore, folder: Path) -> AsyncIterator[Retriever]:
    """A started core with an empty collection."""
    options = RetrieverOptions(
        catalog_url=f"sqlite+aiosqlite:///{folder / 'c.db'}",
        artifact_url=folder.as_uri(),
        folder=folder,
    )
    made = Retriever(store, options, engine="fake")
    await made.start()
    try:
        await made.collections.create(NAME, "", CONFIG)
        yield made
    finally:
        await made.stop()


def leaning(by: float) -> Vectors:
    return np.array([1.0, by], dtype=np.float32)


async def begun(retriever: Retriever, uri: str, lines: list[str]) -> Upload:
    """A document whose text is given and whose chunks, one a line, are not."""
    text = "\n".join(lines).encode()
    sha256 = hashlib.sha256(text).hexdigest()
    draft = DocumentDraft(uri, uri, "text/plain", sha256, len(text), (), {})
    upload = await retriever.uploads.begin(ME, NAME, draft, Made(MODEL))
    await upload.add_text(text)
    return upload


def spans_of(lines: list[str]) -> list[ChunkSpan]:
    spans, at = [], 0
    for ordinal, line in enumerate(lines):
        spans.append(ChunkSpan(ordinal, at, at + len(line), 1, Place()))
        at += len(line) + 1
    return spans


async def write(retriever: Retriever, uri: str, lines: list[str], lean: float) -> None:
    upload = await begun(retriever, uri, lines)
    vectors = np.stack([leaning(lean + n / 1_000) for n in range(len(lines))])
    await upload.add_chunks(spans_of(lines), vectors)
    await upload.commit(len(lines))


async def delete(retriever: Retriever, uri: str) -> None:
    name = DocumentName(NAME.tenant, NAME.collection, document_id(uri))
    await retriever.documents.delete(ME, name, purge=False)


async def search(retriever: Retriever, **changes: object) -> Result:
    fields: dict[str, object] = {
        "mode": Mode.DENSE,
        "text": "",
        "vector": leaning(0.0),
        "model": ModelRef("", ""),
        "limit": 10,
        "max_chunks_per_document": 0,
    }
    query = Query(**{**fields, **changes})  # type: ignore[arg-type]
    return await retriever.searches.search(ME, [NAME], query)


def uris(result: Result) -> list[str]:
    return [found.document.uri for found in result.found]
