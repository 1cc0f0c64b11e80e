"""A client that knows nothing but reflection: no stubs of ours, no protos, no library."""

from base64 import b64encode
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.real_mesh import RealMesh

pytestmark = pytest.mark.e2e

COLLECTION = "tenants/default/collections/stranger"


class Stranger:
    """Calls any method by name with JSON-like values, as grpcurl does."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def call(self, service: str, method: str, *requests: dict[str, Any]) -> list[dict[str, Any]]:
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        request_type = GetMessageClass(found.input_type)
        messages = [json_format.ParseDict(request, request_type()) for request in requests]
        shape = "_".join(
            "stream" if streams else "unary"
            for streams in (found.client_streaming, found.server_streaming)
        )
        rpc = getattr(self.channel, shape)(
            f"/{service}/{method}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=GetMessageClass(found.output_type).FromString,
        )
        answer = rpc(iter(messages) if found.client_streaming else messages[0], timeout=60)
        answers = list(answer) if found.server_streaming else [answer]
        return [json_format.MessageToDict(message) for message in answers]


@pytest.fixture(scope="module")
def filled(mesh: RealMesh) -> RealMesh:
    """The mesh with one document, which the stranger brought in himself."""
    text = b"The lighthouse of Eddystone was lit in 1698.\n\nIts keeper was called Winstanley.\n"
    steps: list[dict[str, Any]] = [
        {"begin": {"parent": COLLECTION, "createCollection": True}},
        {"document": {"uri": "note:lighthouse", "mediaType": "text/plain"}},
        {"part": b64encode(text).decode()},
        {"end": {}},
    ]
    events = Stranger(mesh.address()).call("groundmesh.v1.GatewayService", "Ingest", *steps)
    outcomes = [event["document"]["outcome"] for event in events if "document" in event]
    assert outcomes == ["INGEST_OUTCOME_INDEXED"]
    return mesh


def test_every_server_lists_its_services(mesh: RealMesh) -> None:
    for offset, service in enumerate(("Gateway", "Embedder", "Retriever", "Generator")):
        database = Stranger(mesh.address(offset)).database
        assert f"groundmesh.v1.{service}Service" in database.get_services()


def test_embed_then_search_the_retriever_itself(filled: RealMesh) -> None:
    (embedded,) = Stranger(filled.address(1)).call(
        "groundmesh.v1.EmbedderService",
        "Embed",
        {"kind": "INPUT_KIND_QUERY", "texts": ["When was the lighthouse lit?"]},
    )
    assert embedded["vectors"]["rows"] == 1
    assert embedded["vectors"]["dimension"] == 384
    (found,) = Stranger(filled.address(2)).call(
        "groundmesh.v1.RetrieverService",
        "Search",
        {
            "collections": [COLLECTION],
            "mode": "SEARCH_MODE_HYBRID",
            "queryText": "When was the lighthouse lit?",
            "queryVector": embedded["vectors"],
        },
    )
    assert found["chunks"][0]["uri"] == "note:lighthouse"
    assert "1698" in found["chunks"][0]["chunk"]["text"]


def test_generate_streams_and_ends_with_its_usage(mesh: RealMesh) -> None:
    message = {"role": "ROLE_USER", "content": "Say hello."}
    events = Stranger(mesh.address(3)).call(
        "groundmesh.v1.GeneratorService",
        "Generate",
        {"prompt": {"chat": {"messages": [message]}}, "sampling": {"maxTokens": 8}},
    )
    assert "started" in events[0]
    assert "".join(event["delta"]["text"] for event in events[1:-1])
    assert events[-1]["final"]["usage"]["completionTokens"] <= 8


def test_ask_answers_from_the_document(filled: RealMesh) -> None:
    events = Stranger(filled.address()).call(
        "groundmesh.v1.GatewayService",
        "Ask",
        {
            "collections": [COLLECTION],
            "question": "When was the lighthouse lit?",
            "sampling": {"temperature": 0, "maxTokens": 48},
        },
    )
    sources = events[0]["sources"]["sources"]
    assert sources[0]["chunk"]["uri"] == "note:lighthouse"
    assert any("delta" in event for event in events)
    final = events[-1]["final"]
    assert final["usage"]["completionTokens"] > 0
    assert {timing["stage"] for timing in final["timings"]} >= {"STAGE_EMBED", "STAGE_TOTAL"}
