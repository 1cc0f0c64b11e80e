"""Kills and half-done work: what was acknowledged is there, what was not leaves no trace."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundmesh.channel import open_channel, translated
from groundmesh.errors import NotFound, Reason, Unavailable
from groundmesh.lifetime import tied
from groundmesh.status import from_status
from groundmesh.v1 import collection_pb2, document_pb2
from groundmesh.v1.collection_pb2_grpc import CollectionServiceStub
from groundmesh.v1.retriever_pb2 import UpsertDocumentsRequest
from groundmesh_retriever.upload_stream import UploadStream
from tests.fakes.vector_store import FakeVectorStore
from tests.mesh.retriever_mesh import (
    ADMIN,
    PARENT,
    Doc,
    RetrieverClient,
    retriever_mesh,
    steps,
)
from tests.milvus_servers import MilvusProcess, free_port
from tests.waiting import until

pytestmark = pytest.mark.e2e  # has a store of its own


def docs(count: int, version: str = "first") -> list[Doc]:
    return [
        Doc(f"file:///{n:03}", [f"{version} text {n} line {i}" for i in range(4)])
        for n in range(count)
    ]


def chunks_in(store: FakeVectorStore) -> int:
    """Every chunk of every index."""
    return sum(len(rows) for rows in store.indexes.values())


def texts_in(folder: Path) -> list[Path]:
    """Every file of the artifact store."""
    return [path for path in (folder / "artifacts").rglob("*") if path.is_file()]


async def test_many_searches_at_once_right_after_a_restart_of_milvus(
    lite: MilvusProcess, tmp_path: Path
) -> None:
    async with retriever_mesh(tmp_path, lite.uri) as client:
        await client.create()
        await client.upsert(*(Doc(f"file:///{n}", [f"text {i}" for i in range(500)]) for n in "ab"))
        for _ in range(3):
            lite.kill()
            lite.start()
            await lite.up()
            found = await asyncio.gather(*(client.found("text", limit=5) for _ in range(24)))
            assert [len(texts) for texts in found] == [5] * 24


async def test_kill_9_of_milvus_in_the_middle_of_a_stream(
    lite: MilvusProcess, tmp_path: Path
) -> None:
    async with retriever_mesh(tmp_path, lite.uri) as client:
        await client.create()
        await client.upsert(*docs(10))
        answers: list[bool] = []

        async def sent() -> AsyncIterator[UpsertDocumentsRequest]:
            for number, doc in enumerate(docs(20, "second")):
                if number == 8:
                    await until(lambda: len(answers) == 8)
                    lite.kill()
                for step in steps(doc):
                    yield step

        async for answer in client.retriever.UpsertDocuments(sent()):
            answers.append(answer.WhichOneof("result") == "upserted")
            if not answers[-1]:
                assert from_status(answer.error).reason is Reason.STORE_UNAVAILABLE
        assert answers == [True] * 8 + [False] * 12

        await _fails_fast_without_milvus(client)
        lite.start()
        await lite.up()

        # The same process goes on, and a second run of the same ingest makes all of it right.
        answers_again = await client.upsert(*docs(20, "second"))
        assert all(answer.WhichOneof("result") == "upserted" for answer in answers_again)
        texts = await client.found("x", limit=1_000)
        assert sorted(texts) == sorted(line for doc in docs(20, "second") for line in doc.lines)


async def _fails_fast_without_milvus(client: RetrieverClient) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await client.search("x")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert time.monotonic() - began < 5.0
    # What needs no Milvus goes on.
    listed = await client.documents.ListDocuments(document_pb2.ListDocumentsRequest(parent=PARENT))
    assert len(listed.documents) >= 10
    text = await client.documents.GetDocumentText(
        document_pb2.GetDocumentTextRequest(name=docs(1)[0].name)
    )
    assert text.text


async def test_a_client_that_leaves_in_the_middle_leaves_no_trace(tmp_path: Path) -> None:
    store = FakeVectorStore()
    async with retriever_mesh(tmp_path, store) as client:
        await client.create()
        [doc] = docs(1)
        call = client.retriever.UpsertDocuments()
        for step in steps(doc)[:-1]:
            await call.write(step)
        await until(lambda: chunks_in(store))
        call.cancel()
        await until(lambda: not chunks_in(store) and not texts_in(tmp_path))
        with pytest.raises(NotFound):
            await client.get(doc)


async def test_what_a_killed_process_left_is_invisible_and_then_swept(tmp_path: Path) -> None:
    store = FakeVectorStore()
    async with retriever_mesh(tmp_path, store) as client:
        await client.create()
        await client.upsert(*docs(3))
    # As after a kill -9 between writing chunks and the commit: a pending version, never retired.
    async with retriever_mesh(tmp_path, store) as client:
        killed = docs(3, "second")[0]
        stream = UploadStream(client.engine.uploads, ADMIN)
        for step in steps(killed)[:-1]:
            assert await stream.take(step) is None
        assert chunks_in(store) == 16
        assert await client.lines(killed) == list(docs(3)[0].lines)
        assert len(await client.found("x", limit=100)) == 12
    async with retriever_mesh(tmp_path, store, sweep_min_age_s=0.0) as client:
        await until(lambda: chunks_in(store) == 12)
        assert await client.lines(killed) == list(docs(3)[0].lines)


async def test_deleting_a_collection_empties_every_store(tmp_path: Path) -> None:
    store = FakeVectorStore()
    async with retriever_mesh(tmp_path, store) as client:
        await client.create()
        await client.upsert(*docs(3))
        await client.collections.DeleteCollection(
            collection_pb2.DeleteCollectionRequest(name=PARENT)
        )
        with pytest.raises(NotFound):
            await client.search("x")
        await until(lambda: not store.indexes and not texts_in(tmp_path))


async def test_a_purge_says_when_it_could_not_be_finished(tmp_path: Path) -> None:
    store = FakeVectorStore()
    async with retriever_mesh(tmp_path, store) as client:
        await client.create()
        [doc] = docs(1)
        await client.upsert(doc)
        store.away = True
        request = document_pb2.DeleteDocumentRequest(name=doc.name, purge=True)
        with pytest.raises(Unavailable), translated():
            await client.documents.DeleteDocument(request)
        with pytest.raises(NotFound):
            await client.get(doc)
        store.away = False
        # Asked again, it finishes what it began.
        with translated():
            await client.documents.DeleteDocument(request)
        assert chunks_in(store) == 0


def test_the_process_waits_for_milvus_serves_and_drains(
    lite: MilvusProcess, tmp_path: Path
) -> None:
    lite.kill()
    port = free_port()
    flags = (f"--port={port}", f"--milvus-uri={lite.uri}", f"--data={tmp_path}")
    process = subprocess.Popen(tied((sys.executable, "-m", "groundmesh_retriever", *flags)))
    try:
        lite.start()
        asyncio.run(_lists_collections(f"127.0.0.1:{port}"))
    finally:
        process.terminate()
    assert process.wait(20) == 0


async def _lists_collections(address: str) -> None:
    request = collection_pb2.ListCollectionsRequest(parent="tenants/default")
    async with open_channel(address) as channel, asyncio.timeout(60):
        while True:
            try:
                with translated():
                    await CollectionServiceStub(channel).ListCollections(request)
            except Unavailable:
                await asyncio.sleep(0.2)
            else:
                return
