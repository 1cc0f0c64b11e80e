"""A search that asks for it sees every write that was acknowledged, by whichever replica."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundmesh.v1.retriever_pb2 import CONSISTENCY_STRONG, SEARCH_MODE_DENSE
from tests.mesh.retriever_mesh import Doc, retriever_mesh
from tests.milvus_servers import MilvusProcess, milvus_lite, real_milvus

ROUNDS = 8


@pytest.fixture(
    params=[milvus_lite, pytest.param(real_milvus, marks=pytest.mark.slow)],
    ids=["milvus-lite", "milvus-2.3.5"],
)
def milvus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MilvusProcess]:
    with request.param(tmp_path_factory.mktemp("milvus")) as process:
        asyncio.run(process.up())
        yield process


async def test_a_strong_search_sees_what_another_replica_has_acknowledged(
    milvus: MilvusProcess, tmp_path: Path
) -> None:
    async with (
        retriever_mesh(tmp_path, milvus.uri) as writer,
        retriever_mesh(tmp_path, milvus.uri) as reader,
    ):
        await writer.create()
        for number in range(ROUNDS):
            line = f"line {number}"
            [answer] = await writer.upsert(Doc("file:///it", [line]))
            assert answer.WhichOneof("result") == "upserted"
            response = await reader.search(
                line, mode=SEARCH_MODE_DENSE, consistency=CONSISTENCY_STRONG
            )
            assert [hit.chunk.text for hit in response.chunks] == [line]
            assert response.consistency == CONSISTENCY_STRONG
            cost_us = response.consistency_duration.ToMicroseconds()
            assert 0 < cost_us <= response.store_duration.ToMicroseconds()
