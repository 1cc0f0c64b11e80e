"""What a gateway says of the services behind it."""

import socket
import time

import pytest

from groundmesh.errors import FailedPrecondition
from groundmesh.v1 import gateway_pb2
from tests.mesh.gateway_mesh import (
    COLLECTION,
    NOWHERE,
    gateway_mesh,
)


async def test_peers_are_told_whether_they_can_be_reached() -> None:
    async with gateway_mesh(addresses={"retriever": NOWHERE}) as mesh:
        began = time.monotonic()
        info = await mesh.server_info()
        assert time.monotonic() - began < 5
    peers = {peer.service: peer for peer in info.peers}
    assert list(peers) == ["embedder", "retriever", "generator", "trainer"]
    assert peers["embedder"].server.ready
    assert (peers["embedder"].address, peers["embedder"].error) == (
        mesh.servers["embedder"].address,
        "",
    )
    assert not peers["retriever"].HasField("server")
    assert "can't be reached" in peers["retriever"].error
    assert list(peers["generator"].server.models) == ["paced"]


async def test_a_peer_that_hangs_costs_a_second_at_most() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and says nothing
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with gateway_mesh(addresses={"embedder": address}) as mesh:
            began = time.monotonic()
            info = await mesh.server_info()
            assert time.monotonic() - began < 5
    assert info.peers[0].error
    assert info.peers[1].server.ready


async def test_a_mesh_without_a_generator_searches_and_says_that_it_answers_nothing() -> None:
    async with gateway_mesh(addresses={"generator": "", "trainer": ""}) as mesh:
        info = await mesh.server_info()
        request = gateway_pb2.GatewayServiceSearchRequest(collections=[COLLECTION], query="sour")
        found = await mesh.stub.Search(request, timeout=10)
        with pytest.raises(FailedPrecondition, match="this mesh has no generator"):
            await mesh.ask()
    assert [peer.service for peer in info.peers] == ["embedder", "retriever"]
    assert found.chunks
