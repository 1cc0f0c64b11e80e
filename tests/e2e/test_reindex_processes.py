"""A reindex whose gateway, retriever or Milvus is killed with kill -9; the embedder is a fake."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from groundmesh.testing import running
from groundmesh.v1.collection_pb2 import AnalysisConfig, SplittingConfig
from groundmesh.v1.embedder_pb2 import EmbeddingModel
from groundmesh_retriever.stores.milvus import MilvusStore
from tests.mesh.reindex_bench import (
    OTHER_MODEL,
    HashEmbedder,
    ReindexClient,
    hash_embedder,
    reindex_client,
)
from tests.milvus_servers import MilvusProcess, milvus_client, milvus_lite
from tests.service_process import ServiceProcess, service_process
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FRESH = "tenants/default/collections/fresh"
OTHER = EmbeddingModel(model=OTHER_MODEL)
GERMAN = AnalysisConfig(language="de")
SHORT = SplittingConfig(max_tokens=24, overlap_tokens=4)
DOCUMENTS = 40


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[MilvusProcess]:
    with milvus_lite(tmp_path) as process:
        asyncio.run(process.up())
        yield process


class Mesh:
    """Processes over one folder, each of which can be killed and started again."""

    def __init__(self, folder: Path, milvus: MilvusProcess, embedder: str) -> None:
        self._folder = folder
        self._milvus = milvus
        self._embedder = embedder

    @asynccontextmanager
    async def up(self) -> AsyncIterator[tuple[ReindexClient, dict[str, ServiceProcess]]]:
        """A retriever and a gateway, killed at the end; as after a crash, nothing is drained."""
        async with AsyncExitStack() as stack:
            retriever = await stack.enter_async_context(
                service_process(
                    "groundmesh_retriever",
                    f"--milvus-uri={self._milvus.uri}",
                    f"--data={self._folder / 'retriever'}",
                    "--replaced-index-s=0",
                    "--sweep-interval-s=1",
                    "--sweep-min-age-s=60",
                    folder=self._folder,
                )
            )
            at = await retriever.ready(within_s=120)
            gateway = await stack.enter_async_context(
                service_process(
                    "groundmesh_gateway",
                    f"--retriever={at}",
                    f"--embedder={self._embedder}",
                    "--parse-workers=1",
                    "--embed-batch-texts=8",
                    "--patience-s=20",
                    folder=self._folder,
                )
            )
            address = await gateway.ready(within_s=120)
            client = await stack.enter_async_context(reindex_client(address))
            yield client, {"retriever": retriever, "gateway": gateway}


async def cut_off(
    client: ReindexClient, embedder: HashEmbedder, victim: ServiceProcess, reindex_id: str
) -> None:
    """Run a reindex and kill a process in the middle of it."""
    calls = len(embedder.calls)

    def hold() -> None:
        if len(embedder.calls) > calls + 5:
            embedder.open.clear()

    embedder.on_call = hold
    run = asyncio.create_task(client.run(reindex_id))
    await until(lambda: not embedder.open.is_set(), within_s=60)
    victim.process.kill()
    await victim.process.wait()
    embedder.on_call = lambda: None
    embedder.open.set()
    run.cancel()
    await asyncio.wait([run])


async def chunks_kept(milvus: MilvusProcess) -> dict[str, int]:
    """Every index of the store, with its chunks."""
    store = MilvusStore(milvus.uri, token="", timeout_s=10.0)
    try:
        names = await asyncio.to_thread(indexes_of, milvus.uri)
        return {name: await store.count(name) for name in names if name.startswith("gm_")}
    finally:
        await store.close()


def indexes_of(uri: str) -> list[str]:
    client = milvus_client(uri)
    try:
        return list(client.list_collections())
    finally:
        client.close()


async def assert_as_fresh(client: ReindexClient) -> int:
    """As if everything were ingested now, with the new settings; the chunks that there are."""
    settings: Any = {"splitting": SHORT, "embedding": OTHER, "analysis": GERMAN}
    untouched = sorted({*range(DOCUMENTS)} - {1, 2})
    await client.ingest(untouched, parent=FRESH, **settings)
    await client.ingest([1, DOCUMENTS], "second", parent=FRESH)
    chunks = await client.chunks()
    assert chunks == await client.chunks(FRESH)
    return sum(map(len, chunks.values()))


async def assert_swept(milvus: MilvusProcess, chunks: int) -> None:
    """Two collections of so many chunks are all that the store has."""
    for _ in range(60):
        kept = await chunks_kept(milvus)
        if sorted(kept.values()) == [chunks, chunks]:
            return
        await asyncio.sleep(1)
    raise AssertionError(kept)


async def test_each_process_is_killed_in_its_turn(lite: MilvusProcess, tmp_path: Path) -> None:
    embedder = hash_embedder()
    async with running(embedder.service()) as embedding:
        mesh = Mesh(tmp_path, lite, embedding.address)
        async with mesh.up() as (client, processes):
            await client.ingest(range(DOCUMENTS))
            reindex = await client.begin(splitting=SHORT, embedding=OTHER, analysis=GERMAN)
            await cut_off(client, embedder, processes["gateway"], reindex.reindex_id)
        async with mesh.up() as (client, processes):
            await client.ingest([1, DOCUMENTS], "second")
            await client.delete(2)
            await cut_off(client, embedder, processes["retriever"], reindex.reindex_id)
        async with mesh.up() as (client, _):
            lite.kill()
            lite.start()
            await lite.up()
            await client.run(reindex.reindex_id)
            committing = asyncio.create_task(client.commit(reindex.reindex_id))
            await asyncio.sleep(0.01)  # and whatever has come of it is killed
        await asyncio.gather(committing, return_exceptions=True)
        async with mesh.up() as (client, _):
            collection = await client.commit(reindex.reindex_id)
            assert (collection.index_version, collection.document_count) == (2, DOCUMENTS)
            await assert_swept(lite, await assert_as_fresh(client))
