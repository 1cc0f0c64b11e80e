"""Collections and documents through the gateway: the retriever's answers, whatever the RPC."""

from typing import Any

import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass

from groundmesh.channel import translated
from groundmesh.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Reason,
    Unavailable,
)
from groundmesh.identity import Principal, acting_as
from groundmesh.v1 import collection_pb2, document_pb2
from groundmesh.v1.embedder_pb2 import EmbeddingModel
from groundmesh_gateway.splitting import METHOD
from tests.fakes.leaves import MODEL, RETRIEVER_SERVICES
from tests.mesh.gateway_mesh import COLLECTION, NOWHERE, GatewayMesh, gateway_mesh

DOCUMENT = f"{COLLECTION}/documents/{'0' * 32}"
METHODS = [method for service in RETRIEVER_SERVICES for method in service.methods]


def call(channel: grpc.aio.Channel, method: Any, request: Any, *, timeout: float = 10) -> Any:
    """A call of any forwarded method."""
    return channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )(request, timeout=timeout)


def request_for(method: Any, *, tenant: str = "default") -> Any:
    """A request of the method with a name in it."""
    request: Any = GetMessageClass(method.input_type)()
    name = COLLECTION.replace("default", tenant)
    fields = request.DESCRIPTOR.fields_by_name
    if "name" in fields:
        request.name = name
    elif "parent" in fields:
        request.parent = name
    else:
        request.collection.name = name
    return request


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_every_rpc_reaches_the_retriever_as_it_is(method: Any) -> None:
    request = request_for(method)
    alice = Principal("default", "alice", frozenset({"staff"}))
    async with gateway_mesh(leaf_settings={"identity": "trusted"}, identity="trusted") as mesh:
        with acting_as(alice):
            response = await call(mesh.channel, method, request)
        seen = mesh.retriever.last(type(request))
        left = mesh.retriever.time_left[-1]
    assert response == type(response)()
    assert mesh.retriever.principals[-1] == alice
    assert left is not None
    assert 5 < left < 10.5  # grpc rounds it up
    if method.name not in {"CreateCollection", "BeginReindex"}:  # which are completed
        assert seen == request


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_every_rpc_refuses_another_tenant(method: Any) -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(PermissionDenied) as refused, translated("gateway"):
            await call(mesh.channel, method, request_for(method, tenant="other"))
        assert not mesh.retriever.requests
        assert not mesh.embedder.requests
    assert refused.value.reason is Reason.TENANT_MISMATCH


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_every_rpc_names_a_retriever_that_is_away(method: Any) -> None:
    async with gateway_mesh(addresses={"retriever": NOWHERE}) as mesh:
        with pytest.raises(Unavailable) as failed, translated("gateway"):
            await call(mesh.channel, method, request_for(method))
    assert failed.value.message.startswith(f"the retriever at {NOWHERE} can't be reached")


async def get(mesh: GatewayMesh, *, timeout: float = 10) -> None:
    method = document_pb2.DESCRIPTOR.services_by_name["DocumentService"].methods_by_name[
        "GetDocument"
    ]
    with translated("gateway"):
        request = document_pb2.GetDocumentRequest(name=DOCUMENT)
        await call(mesh.channel, method, request, timeout=timeout)


async def test_errors_come_back_as_they_were() -> None:
    async with gateway_mesh() as mesh:
        mesh.retriever.raises = NotFound("no document x", reason=Reason.DOCUMENT_NOT_FOUND)
        with pytest.raises(NotFound, match=r"^no document x$") as missing:
            await get(mesh)
        mesh.retriever.raises = InvalidArgument.of_field("name", "is odd")
        with pytest.raises(InvalidArgument) as odd:
            await get(mesh)
        mesh.retriever.open.clear()
        with pytest.raises(DeadlineExceeded):
            await get(mesh, timeout=0.3)
        mesh.retriever.open.set()
    assert missing.value.reason is Reason.DOCUMENT_NOT_FOUND
    assert odd.value.fields[0].field == "name"


async def create(mesh: GatewayMesh, **index: Any) -> collection_pb2.CreateCollectionRequest:
    """What the retriever gets of a creation."""
    method = collection_pb2.DESCRIPTOR.services_by_name["CollectionService"].methods_by_name[
        "CreateCollection"
    ]
    request = collection_pb2.CreateCollectionRequest(
        parent="tenants/default",
        collection_id="docs",
        collection=collection_pb2.Collection(index=collection_pb2.IndexConfig(**index)),
    )
    with translated("gateway"):
        await call(mesh.channel, method, request)
    seen: collection_pb2.CreateCollectionRequest = mesh.retriever.last(type(request))
    return seen


async def test_a_creation_is_completed_from_the_embedder() -> None:
    async with gateway_mesh() as mesh:
        bare = await create(mesh)
        named = await create(
            mesh,
            embedding={"model": MODEL.model},
            splitting={"max_tokens": 99},
            analysis={"language": "de"},
        )
        with pytest.raises(NotFound) as unknown:
            await create(mesh, embedding={"model": "other"})
    assert bare.collection.index.embedding == MODEL
    assert bare.collection.index.splitting.method == METHOD
    assert named.collection.index.embedding == MODEL
    assert named.collection.index.splitting.max_tokens == 99
    assert named.collection.index.analysis.language == "de"
    assert unknown.value.reason is Reason.MODEL_NOT_FOUND


async def test_a_reindex_is_completed_with_the_model_and_the_way_of_splitting() -> None:
    methods = collection_pb2.DESCRIPTOR.services_by_name["CollectionService"].methods_by_name
    request = collection_pb2.BeginReindexRequest(
        name="tenants/default/collections/docs",
        index=collection_pb2.IndexConfig(embedding=EmbeddingModel(model=MODEL.model)),
    )
    async with gateway_mesh() as mesh:
        with translated("gateway"):
            await call(mesh.channel, methods["BeginReindex"], request)
        seen: collection_pb2.BeginReindexRequest = mesh.retriever.last(type(request))
        request.index.embedding.model = "other"
        with pytest.raises(NotFound) as unknown, translated("gateway"):
            await call(mesh.channel, methods["BeginReindex"], request)
    assert seen.index.embedding == MODEL
    assert seen.index.splitting.method == METHOD
    assert not seen.index.splitting.max_tokens
    assert unknown.value.reason is Reason.MODEL_NOT_FOUND


async def test_a_creation_names_an_embedder_that_is_away() -> None:
    async with gateway_mesh(addresses={"embedder": NOWHERE}) as mesh:
        with pytest.raises(Unavailable, match=r"the embedder at .* can't be reached"):
            await create(mesh)
