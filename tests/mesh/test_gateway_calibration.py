"""A gateway learns the calibration of a collection, and changes of it, beside its searches."""

import asyncio
from typing import Any

import pytest

from groundmesh.channel import ChannelOptions
from groundmesh.errors import NotFound, Unavailable
from groundmesh.testing import running
from groundmesh.v1 import collection_pb2, gateway_pb2, retriever_pb2
from groundmesh_gateway.calibrations import Calibrations
from groundmesh_gateway.downstreams import Downstream
from tests.fakes.leaves import FakeRetriever, chunk
from tests.mesh.gateway_mesh import GatewayMesh, gateway_mesh


async def abstention(mesh: GatewayMesh, **fields: Any) -> int:
    return (await mesh.ask(**fields))[-1].final.abstention


async def test_its_bound_goes_before_the_setting() -> None:
    async with gateway_mesh(min_score=0.2) as mesh:
        mesh.retriever.chunks = [chunk("Near.", cosine=0.3)]
        mesh.retriever.least_evidence = 0.31
        assert await abstention(mesh) == gateway_pb2.ABSTENTION_LOW_EVIDENCE
        sparse = gateway_pb2.RetrievalOptions(mode=retriever_pb2.SEARCH_MODE_SPARSE)
        mesh.retriever.chunks[0].ClearField("dense_score")
        events = await mesh.ask(retrieval=sparse)
        assert not events[-1].final.abstained
        assert not events[-1].final.HasField("evidence")


async def test_a_calibration_that_can_not_be_read_stops_no_answer() -> None:
    async with gateway_mesh(min_score=0.2) as mesh:
        mesh.retriever.chunks = [chunk("Near.", cosine=0.1)]
        mesh.retriever.fails_to_get = Unavailable("not now")
        assert await abstention(mesh) == gateway_pb2.ABSTENTION_LOW_EVIDENCE


async def test_a_change_is_seen_and_a_moment_long_nobody_asks_again() -> None:
    now, retriever = [100.0], FakeRetriever(least_evidence=0.5)
    async with running(retriever.service()) as server:
        downstream = Downstream("retriever", server.address, ChannelOptions())
        known = Calibrations(downstream, recheck_s=3.0, clock=lambda: now[0])

        async def bounds() -> dict[str, float]:
            return dict(await known.of(["a", "b"]))

        first, second = await asyncio.gather(bounds(), bounds())
        assert first == second == {"a": 0.5, "b": 0.5}
        asked = [each.name for each in retriever.requests]
        assert sorted(asked) == ["a", "b"]  # once each, for both

        retriever.least_evidence = None
        now[0] += 2.9
        assert await bounds() == {"a": 0.5, "b": 0.5}
        now[0] += 0.2
        assert await bounds() == {}

        retriever.fails_to_get = Unavailable("not now")
        now[0] += 3.1
        assert await bounds() == {}  # as it was last
        await known.close()
        await downstream.close()


@pytest.mark.parametrize("error", [NotFound("no such collection"), Unavailable("away")])
async def test_what_was_never_known_has_no_bound(error: Any) -> None:
    retriever = FakeRetriever(fails_to_get=error)
    async with running(retriever.service()) as server:
        downstream = Downstream("retriever", server.address, ChannelOptions())
        known = Calibrations(downstream)
        assert await known.of(["a"]) == {}
        assert isinstance(retriever.requests[0], collection_pb2.GetCollectionRequest)
        await known.close()
        await downstream.close()
