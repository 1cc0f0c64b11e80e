"""Services of the retriever that clients reach through the gateway, one forwarder for all RPCs.

Principal, request id and deadline travel on by themselves (``groundmesh.channel``). A name of
another tenant is refused here already; whatever else is wrong with a request, the retriever says.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from groundmesh.identity import current_principal
from groundmesh.names import CollectionName, TenantName
from groundmesh.server.checks import require_name
from groundmesh.v1 import collection_pb2, document_pb2
from groundmesh_gateway.downstreams import Downstream, Downstreams
from groundmesh_gateway.index_defaults import complete_index
from groundmesh_gateway.ingest_target import get_collection

_SERVICES = (
    collection_pb2.DESCRIPTOR.services_by_name["CollectionService"],
    document_pb2.DESCRIPTOR.services_by_name["DocumentService"],
)

FORWARDED = tuple(service.full_name for service in _SERVICES)
"""Full names of the services that ``register_forwarding`` adds."""

_Completion = Callable[[Any], Awaitable[None]]
"""Fills in what a client may leave out, before a request is passed on."""


def register_forwarding(server: grpc.aio.Server, downstreams: Downstreams) -> None:
    """Serve the retriever's collections and documents from ``server``."""

    async def complete_creation(request: collection_pb2.CreateCollectionRequest) -> None:
        await complete_index(request.collection.index, downstreams.embedder)

    async def complete_reindex(request: collection_pb2.BeginReindexRequest) -> None:
        if not request.index.embedding.model:
            name = require_name(request.name, CollectionName, field="name")
            now = await get_collection(name, downstreams.retriever)
            request.index.embedding.model = now.index.embedding.model
        await complete_index(request.index, downstreams.embedder)

    completions: Mapping[str, _Completion] = {
        "CreateCollection": complete_creation,
        "BeginReindex": complete_reindex,
    }
    for service in _SERVICES:
        handlers = {
            method.name: _handler(method, downstreams.retriever, completions.get(method.name))
            for method in service.methods
        }
        generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))


def _handler(
    method: MethodDescriptor, downstream: Downstream, complete: _Completion | None
) -> "grpc.RpcMethodHandler[Any, Any]":
    request_type = GetMessageClass(method.input_type)
    response_type = GetMessageClass(method.output_type)

    async def forward(request: Message, _context: grpc.aio.ServicerContext[Any, Any]) -> Message:
        _check_tenant(request)
        if complete is not None:
            await complete(request)
        call = downstream.channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        with downstream.errors():
            response: Message = await call(request)
        return response

    return grpc.unary_unary_rpc_method_handler(
        forward,
        request_deserializer=request_type.FromString,
        response_serializer=response_type.SerializeToString,
    )


def _check_tenant(request: Any) -> None:
    """PermissionDenied when what the request names is of another tenant."""
    fields = request.DESCRIPTOR.fields_by_name
    named = next((field for field in ("name", "parent") if field in fields), None)
    name: str = getattr(request, named) if named else request.collection.name
    kind, _, rest = name.partition("/")
    tenant = rest.partition("/")[0]
    if kind == "tenants" and tenant:
        TenantName(tenant).check_tenant(current_principal())
