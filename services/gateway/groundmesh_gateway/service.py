"""The gateway's parts put together by its settings."""

from dataclasses import replace

import grpc.aio

from groundmesh.channel import ChannelOptions
from groundmesh.server.app import Service
from groundmesh.v1 import (
    embedder_pb2,
    gateway_pb2,
    gateway_pb2_grpc,
    generator_pb2,
    retriever_pb2,
)
from groundmesh_gateway.core import GatewayCore
from groundmesh_gateway.downstreams import Downstream, Downstreams
from groundmesh_gateway.forwarding import FORWARDED, register_forwarding
from groundmesh_gateway.ingestion.engine import IngestEngine
from groundmesh_gateway.servicer import AskServicer, AskSettings, GatewayServicer
from groundmesh_gateway.servicer_ingest import IngestServicer
from groundmesh_gateway.settings import GatewaySettings

SERVICE = gateway_pb2.DESCRIPTOR.services_by_name["GatewayService"].full_name

# Whose health the channels watch; one engine stands behind all services of an address.
_EMBEDDER = embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name
_RETRIEVER = retriever_pb2.DESCRIPTOR.services_by_name["RetrieverService"].full_name
_GENERATOR = generator_pb2.DESCRIPTOR.services_by_name["GeneratorService"].full_name


def gateway_service(settings: GatewaySettings) -> Service:
    """The gateway as the chassis serves it, in the roles of its settings."""
    downstreams = _downstreams(settings)
    engine = IngestEngine(settings.ingest_options()) if settings.role != "ask" else None
    asking = AskSettings(
        settings.ask_options(),
        templates=settings.prompt_templates(),
        template=settings.template,
        temperature=settings.temperature,
    )
    ask = AskServicer(downstreams, asking) if settings.role != "ingest" else None
    servicer = GatewayServicer(
        ask=ask,
        ingest=IngestServicer(engine, downstreams) if engine else None,
    )

    async def close() -> None:
        if ask is not None:
            await ask.close()
        await downstreams.close()

    def register(server: grpc.aio.Server) -> None:
        gateway_pb2_grpc.add_GatewayServiceServicer_to_server(servicer, server)
        register_forwarding(server, downstreams)

    return Service(
        name="gateway",
        engine=GatewayCore(ingest=engine, close=close),
        register=register,
        grpc_services=(SERVICE, *FORWARDED),
        peers=downstreams.describe,
    )


def _downstreams(settings: GatewaySettings) -> Downstreams:
    options = ChannelOptions(
        tls_ca=settings.mesh_tls_ca,
        tls_cert=settings.mesh_tls_cert,
        tls_key=settings.mesh_tls_key,
        max_message_bytes=settings.max_message_bytes,
    )

    def downstream(name: str, address: str, serves: str | None) -> Downstream:
        return Downstream(name, address, replace(options, health_service=serves))

    return Downstreams(
        embedder=downstream("embedder", settings.embedder, _EMBEDDER),
        retriever=downstream("retriever", settings.retriever, _RETRIEVER),
        generator=downstream("generator", settings.generator, _GENERATOR),
        trainer=downstream("trainer", settings.trainer, None),  # gets no work yet
    )
