"""A served gateway between a fake embedder, a fake retriever and a client of its contract."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from groundmesh.channel import open_channel, translated
from groundmesh.first_status import FirstStatus
from groundmesh.server.app import Service
from groundmesh.status import from_status
from groundmesh.testing import running
from groundmesh.v1.gateway_pb2 import (
    DocumentIngested,
    IngestBegin,
    IngestDocument,
    IngestEnd,
    IngestOutcome,
    IngestProgress,
    IngestRequest,
    IngestResponse,
)
from groundmesh.v1.gateway_pb2_grpc import GatewayServiceStub
from groundmesh_gateway.service import gateway_service
from groundmesh_gateway.settings import GatewaySettings
from tests.fakes.embedder_service import FakeEmbedderService, fake_embedder
from tests.fakes.retriever_service import COLLECTION, FakeRetriever, fake_retriever

if TYPE_CHECKING:
    from groundmesh.v1.gateway_pb2_grpc import GatewayServiceAsyncStub

PART_BYTES = 1 << 20
NOWHERE = "unix:/nowhere"


def document(uri: str, data: bytes = b"Some text.", **fields: Any) -> list[IngestRequest]:
    """The messages of one document."""
    parts = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]
    return [
        IngestRequest(document=IngestDocument(uri=uri, **fields)),
        *(IngestRequest(part=part) for part in parts),
        IngestRequest(end=IngestEnd()),
    ]


def begin(**fields: Any) -> IngestRequest:
    """The first message; the collection is created unless it says otherwise."""
    return IngestRequest(
        begin=IngestBegin(**{"parent": COLLECTION, "create_collection": True, **fields})
    )


@dataclass
class Events:
    """What a stream told."""

    documents: list[DocumentIngested] = field(default_factory=list)
    progress: list[IngestProgress] = field(default_factory=list)

    def add(self, response: IngestResponse) -> None:
        if response.HasField("document"):
            self.documents.append(response.document)
        else:
            self.progress.append(response.progress)

    def outcomes(self) -> dict[str, str]:
        """By URI: INDEXED, REPLACED, UNCHANGED or the reason of a failure."""
        return {event.uri: outcome_of(event) for event in self.documents}


def outcome_of(event: DocumentIngested) -> str:
    """INDEXED, REPLACED, UNCHANGED or the reason of a failure."""
    if event.HasField("error"):
        return str(from_status(event.error).reason)
    return IngestOutcome.Name(event.outcome).removeprefix("INGEST_OUTCOME_")


@dataclass
class Bench:
    """All of them."""

    embedder: FakeEmbedderService
    retriever: FakeRetriever
    service: Service
    stub: "GatewayServiceAsyncStub"

    def load(self, name: str) -> float:
        """A present figure of the gateway's."""
        return self.service.engine.describe().load[name]

    async def ingest(
        self,
        *documents: list[IngestRequest],
        first: IngestRequest | None = None,
        events: Events | None = None,
    ) -> Events:
        """Send documents and collect the events, in ``events`` as they come."""
        messages = [first or begin(), *(message for each in documents for message in each)]
        return await self.send(messages, events)

    async def send(self, messages: Iterable[IngestRequest], events: Events | None = None) -> Events:
        """Send any messages."""
        events = events or Events()
        call = self.stub.Ingest(iter(messages))
        with translated("gateway"), FirstStatus(call):
            async for response in call:
                events.add(response)
        return events


@asynccontextmanager
async def ingest_bench(
    *,
    embedder: FakeEmbedderService | None = None,
    retriever: FakeRetriever | None = None,
    behind: bool = True,
    **settings: Any,
) -> AsyncIterator[Bench]:
    """A bench whose gateway has these settings; bounds are small, so that they show.

    Not ``behind``: nobody answers where embedder and retriever should be.
    """
    embedder = embedder or fake_embedder()
    retriever = retriever or fake_retriever()
    async with AsyncExitStack() as stack:
        behind_embedder = await stack.enter_async_context(running(embedder.service()))
        behind_retriever = await stack.enter_async_context(running(retriever.service()))
        bounds = {
            "role": "ingest",
            "parse_workers": 2,
            "patience_s": 2.0,
            "embed_batch_texts": 8,
            **settings,
        }
        gateway = gateway_service(
            GatewaySettings(
                embedder=behind_embedder.address if behind else NOWHERE,
                retriever=behind_retriever.address if behind else NOWHERE,
                **bounds,
            )
        )
        server = await stack.enter_async_context(running(gateway))
        channel = await stack.enter_async_context(open_channel(server.address))
        yield Bench(embedder, retriever, gateway, GatewayServiceStub(channel))
