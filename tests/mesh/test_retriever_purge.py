"""A purge, looked at in all three stores: Milvus Lite itself, the catalog's tables, the files."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from groundmesh.channel import translated
from groundmesh.errors import NotFound
from groundmesh.names import document_id
from groundmesh.v1 import document_pb2
from groundmesh_retriever.upload_stream import UploadStream
from tests.mesh.retriever_mesh import ADMIN, Doc, RetrieverClient, steps
from tests.milvus_servers import MilvusProcess, milvus_client, milvus_lite

pytestmark = pytest.mark.e2e  # has a store of its own

SECRET = "the secret word is xylophone"
TABLES = ("documents", "readers", "chunk_sets")


@pytest.fixture  # for each test its own: they look at all that is in it
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusProcess]:
    with milvus_lite(tmp_path_factory.mktemp("lite")) as process:
        asyncio.run(process.up())
        yield process


def in_milvus(lite: MilvusProcess, doc: Doc) -> list[str]:
    """Keys of its chunks, in any index, whatever the catalog says."""
    client = milvus_client(lite.uri)
    try:
        return [
            row["key"]
            for index in client.list_collections()
            for row in client.query(
                index,
                filter=f'document == "{document_id(doc.uri)}"',
                output_fields=["key"],
                consistency_level="Strong",
            )
        ]
    finally:
        client.close()


def in_catalog(folder: Path, doc: Doc) -> list[str]:
    """The tables that have a row of it."""
    with closing(sqlite3.connect(folder / "catalog.db")) as catalog:
        wanted = (document_id(doc.uri),)
        return [
            table
            for table in TABLES
            if catalog.execute(f"SELECT 1 FROM {table} WHERE document_id = ?", wanted).fetchone()
        ]


def files_with(folder: Path, words: str) -> list[Path]:
    """Every file of the artifact store that holds these words."""
    files = [path for path in (folder / "artifacts").rglob("*") if path.is_file()]
    return [path for path in files if words.encode() in path.read_bytes()]


async def purge(client: RetrieverClient, doc: Doc) -> None:
    request = document_pb2.DeleteDocumentRequest(name=doc.name, purge=True)
    with translated():
        await client.documents.DeleteDocument(request)


async def test_a_purge_leaves_no_trace_in_any_store(
    client: RetrieverClient, lite: MilvusProcess, tmp_path: Path
) -> None:
    secret = Doc("file:///secret", [SECRET, "and more"], labels=["hr"])
    older = Doc(secret.uri, [f"formerly {SECRET}"])
    kept = Doc("file:///kept", ["nothing to hide"])
    await client.upsert(older, kept)
    await client.upsert(secret)
    # A writer that was killed has left half of yet another version.
    writing = UploadStream(client.engine.uploads, ADMIN)
    for step in steps(Doc(secret.uri, [f"soon {SECRET}", "or not"]))[:-1]:
        await writing.take(step)
    assert in_milvus(lite, secret)
    assert in_catalog(tmp_path, secret) == list(TABLES)
    assert files_with(tmp_path, SECRET)

    await purge(client, secret)
    assert in_milvus(lite, secret) == []
    assert in_catalog(tmp_path, secret) == []
    assert files_with(tmp_path, SECRET) == []
    with pytest.raises(NotFound):
        await client.get(secret)
    assert await client.lines(kept) == list(kept.lines)
    assert len(files_with(tmp_path, "nothing to hide")) == 1


async def test_a_text_that_two_documents_share_stays_for_the_other(
    client: RetrieverClient, lite: MilvusProcess, tmp_path: Path
) -> None:
    one, other = Doc("file:///one", [SECRET]), Doc("file:///other", [SECRET])
    await client.upsert(one, other)
    assert len(files_with(tmp_path, SECRET)) == 1
    await purge(client, one)
    assert in_milvus(lite, one) == []
    assert await client.lines(other) == [SECRET]
    request = document_pb2.GetDocumentTextRequest(name=other.name)
    assert (await client.documents.GetDocumentText(request)).text.decode() == SECRET
    await purge(client, other)
    assert files_with(tmp_path, SECRET) == []
    assert in_catalog(tmp_path, other) == []
