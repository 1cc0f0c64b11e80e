"""``GatewayService`` as its roles serve it: translates messages and delegates."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc.aio

from groundmesh.errors import Unimplemented
from groundmesh.prompting import Templates
from groundmesh.v1 import gateway_pb2, gateway_pb2_grpc
from groundmesh_gateway.ask import Ask, AskOptions
from groundmesh_gateway.ask_clients import RemoteAsking
from groundmesh_gateway.ask_requests import check_ask, check_search
from groundmesh_gateway.ask_wire import timings, to_response
from groundmesh_gateway.calibrations import Calibrations
from groundmesh_gateway.downstreams import Downstreams
from groundmesh_gateway.find_clients import RemoteFinding
from groundmesh_gateway.find_wire import scored_chunk
from groundmesh_gateway.finding import Finder
from groundmesh_gateway.model_tokens import ModelTokensCache
from groundmesh_gateway.query_models import QueryModels
from groundmesh_gateway.servicer_ingest import IngestServicer
from groundmesh_gateway.stages import Stopwatch
from groundmesh_gateway.tokenizer_client import RemoteTokenizers, chat_messages

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class AskSettings:
    """How a gateway answers."""

    options: AskOptions
    templates: Templates
    template: str
    """The one for questions that choose none."""
    temperature: float = 0.0
    """Of answers to questions that set none: from the documents, not from chance."""


class AskServicer:
    """The role ``ask``."""

    def __init__(self, downstreams: Downstreams, settings: AskSettings) -> None:
        """``downstreams`` are the caller's to close, after this."""
        self._downstreams = downstreams
        self._settings = settings
        self._tokens = ModelTokensCache(RemoteTokenizers(downstreams.generator))
        self._models = QueryModels(downstreams.retriever)
        self._calibrations = Calibrations(downstreams.retriever)

    async def close(self) -> None:
        """End what was begun for calls, all of which are over."""
        await self._tokens.close()
        await self._calibrations.close()

    async def Ask(  # noqa: N802 - the contract's name, here and below
        self, request: gateway_pb2.AskRequest, _context: Context
    ) -> AsyncGenerator[gateway_pb2.AskResponse, None]:
        """Answer a question from a collection."""
        check_ask(request)
        template = self._settings.templates.get(request.template or self._settings.template)
        mesh = RemoteAsking(
            request,
            self._downstreams,
            self._tokens,
            self._models,
            calibrations=self._calibrations,
            temperature=self._settings.temperature,
        )
        bound = request.sampling.max_tokens if request.sampling.HasField("max_tokens") else None
        ask = Ask(
            request.question,
            mesh,
            self._settings.options,
            max_tokens=bound,
            template=template,
            history=chat_messages(request.history),
        )
        async with aclosing(ask.answer()) as events:
            async for event in events:
                yield to_response(event, mesh.found)

    async def Search(  # noqa: N802
        self, request: gateway_pb2.GatewayServiceSearchRequest, _context: Context
    ) -> gateway_pb2.GatewayServiceSearchResponse:
        """Search by words."""
        check_search(request)
        mesh = RemoteFinding(request.query, request, self._downstreams, self._models)
        watch = Stopwatch()
        found = await Finder(mesh, self._settings.options.finding, watch).find()
        return gateway_pb2.GatewayServiceSearchResponse(
            chunks=[scored_chunk(passage, mesh.found) for passage in found.passages],
            mode=mesh.found.mode,
            timings=timings(watch.finish()),
            degraded=found.degraded,
        )


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """See ``gateway.proto``: both roles, or one of them."""

    def __init__(self, *, ask: AskServicer | None, ingest: IngestServicer | None) -> None:
        """What an absent role serves is UNIMPLEMENTED here."""
        self._ask = ask
        self._ingest = ingest

    async def Ask(  # noqa: N802
        self, request: gateway_pb2.AskRequest, context: Context
    ) -> AsyncIterator[gateway_pb2.AskResponse]:
        """Answer a question from a collection."""
        if self._ask is None:
            raise _other_role("Ask", "ask")
        async with aclosing(self._ask.Ask(request, context)) as responses:
            async for response in responses:
                yield response

    async def Search(  # noqa: N802
        self, request: gateway_pb2.GatewayServiceSearchRequest, context: Context
    ) -> gateway_pb2.GatewayServiceSearchResponse:
        """Search by words."""
        if self._ask is None:
            raise _other_role("Search", "ask")
        return await self._ask.Search(request, context)

    async def Ingest(  # type: ignore[override] # noqa: N802 - it writes by itself
        self, request_iterator: AsyncIterator[gateway_pb2.IngestRequest], context: Context
    ) -> None:
        """Take documents in."""
        if self._ingest is None:
            raise _other_role("Ingest", "ingest")
        await self._ingest.Ingest(request_iterator, context)

    async def RunReindex(  # type: ignore[override] # noqa: N802 - it writes by itself
        self, request: gateway_pb2.RunReindexRequest, context: Context
    ) -> None:
        """Fill a shadow index."""
        if self._ingest is None:
            raise _other_role("RunReindex", "ingest")
        await self._ingest.RunReindex(request, context)


def _other_role(method: str, role: str) -> Unimplemented:
    return Unimplemented(f"{method} is served by gateways with the role {role}; this one has not")
