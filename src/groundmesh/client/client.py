"""The async client of a mesh."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from groundmesh.addresses import DEFAULT_ADDRESS
from groundmesh.channel import ChannelOptions
from groundmesh.client import from_wire, to_wire
from groundmesh.client.answers import Answer, AskEvent, Citation, Delta, Final, Sources
from groundmesh.client.collections import Collections
from groundmesh.client.connection import Connection
from groundmesh.client.documents import Documents
from groundmesh.client.ingestion import IngestEvent
from groundmesh.client.options import ChatMessage, Retrieval, Sampling, Timeouts
from groundmesh.client.uploading import Sender, Uploads, ingest
from groundmesh.client.values import IndexSettings, SearchResult, ServerStatus
from groundmesh.errors import Internal
from groundmesh.v1 import gateway_pb2, mesh_pb2
from groundmesh.v1.gateway_pb2_grpc import GatewayServiceStub
from groundmesh.v1.mesh_pb2_grpc import MeshServiceStub


class Client:
    """A mesh, reached through its gateway.

        async with Client("127.0.0.1:50050") as mesh:
            async for event in mesh.ask("What is a coroutine?", collection="docs"):
                ...

    Collections are named in short (``docs``, in the client's tenant) or in full
    (``tenants/default/collections/docs``). Failures are the classes of ``groundmesh.errors``.
    Every call has an end in time: ``timeout_s`` if given, else that of ``timeouts``.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tenant: str = "default",
        timeouts: Timeouts | None = None,
        options: ChannelOptions | None = None,
    ) -> None:
        """Make a client inside a running event loop; it connects with its first call."""
        self._connection = Connection(
            address, tenant=tenant, timeouts=timeouts or Timeouts(), options=options
        )
        self._gateway = GatewayServiceStub(self._connection.channel)
        self._mesh = MeshServiceStub(self._connection.channel)
        self.collections = Collections(self._connection)
        """The collections of the tenant."""
        self.documents = Documents(self._connection)
        """The documents in them."""

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that still run are cancelled."""
        await self._connection.channel.close()

    async def ask(
        self,
        question: str,
        *,
        collection: str | Sequence[str],
        model: str = "",
        retrieval: Retrieval | None = None,
        sampling: Sampling | None = None,
        history: Sequence[ChatMessage] = (),
        template: str = "",
        timeout_s: float | None = None,
    ) -> AsyncGenerator[AskEvent, None]:
        """Ask, and get the answer as it is made: sources, deltas and citations, then final.

        ``collection`` is one, or several of one embedding model, here and wherever is searched;
        ``history`` is the conversation before the question, oldest first; ``template`` is that of
        the prompt, ``name`` or ``name@version``.
        Whoever leaves before the end should close the iterator (``contextlib.aclosing``), so that
        the mesh stops working on it at once.
        """
        request = gateway_pb2.AskRequest(
            collections=self._connection.collections(collection),
            question=question,
            model=model,
            retrieval=None if retrieval is None else to_wire.retrieval_options(retrieval),
            sampling=None if sampling is None else to_wire.sampling(sampling),
            history=map(to_wire.chat_message, history),
            template=template,
        )
        timeouts = self._connection.timeouts
        call = self._gateway.Ask(
            request, timeout=timeouts.answer_s if timeout_s is None else timeout_s
        )
        try:
            with self._connection.translated():
                async for response in call:
                    event = from_wire.ask_event(response)
                    if event is not None:
                        yield event
        finally:
            call.cancel()

    async def answer(
        self,
        question: str,
        *,
        collection: str | Sequence[str],
        model: str = "",
        retrieval: Retrieval | None = None,
        sampling: Sampling | None = None,
        history: Sequence[ChatMessage] = (),
        template: str = "",
        timeout_s: float | None = None,
    ) -> Answer:
        """Ask, and get the whole answer at its end."""
        events = self.ask(
            question,
            collection=collection,
            model=model,
            retrieval=retrieval,
            sampling=sampling,
            history=history,
            template=template,
            timeout_s=timeout_s,
        )
        return await gathered(question, events)

    async def search(
        self,
        query: str,
        *,
        collection: str | Sequence[str],
        retrieval: Retrieval | None = None,
        timeout_s: float | None = None,
    ) -> SearchResult:
        """Find the passages that suit the query best."""
        request = gateway_pb2.GatewayServiceSearchRequest(
            collections=self._connection.collections(collection),
            query=query,
            retrieval=None if retrieval is None else to_wire.retrieval_options(retrieval),
        )
        call = self._gateway.Search(request, timeout=self._connection.read_s(timeout_s))
        return from_wire.search_result(await self._connection.of(call))

    def ingest(
        self,
        uploads: Uploads,
        *,
        collection: str,
        create: bool = True,
        index: IndexSettings | None = None,
        silence_s: float | None = None,
    ) -> AsyncGenerator[IngestEvent, None]:
        """Take documents in: one event for each, in any order, and progress about once a second.

        Files are read part by part, no faster than the mesh works. A document that fails, or that
        can't be read, is an event and stops no other. ``create`` makes the collection if it is not
        there, with the settings of ``index``.
        """
        begin = gateway_pb2.IngestBegin(
            parent=self._connection.collection(collection),
            create_collection=create,
            index=None if index is None else to_wire.index_config(index),
        )
        timeouts = self._connection.timeouts
        return ingest(
            self._connection,
            self._gateway,
            Sender(begin, uploads),
            silence_s=timeouts.ingest_silence_s if silence_s is None else silence_s,
        )

    async def status(self, *, timeout_s: float | None = None) -> tuple[ServerStatus, ...]:
        """Every service of the mesh, as the gateway sees it; the gateway itself first."""
        request = mesh_pb2.GetServerInfoRequest()
        call = self._mesh.GetServerInfo(request, timeout=self._connection.read_s(timeout_s))
        info = await self._connection.of(call)
        gateway = from_wire.server_status(info.server, address=self._connection.address)
        return (gateway, *(from_wire.peer_status(peer) for peer in info.peers))


async def gathered(question: str, events: AsyncGenerator[AskEvent, None]) -> Answer:
    """The whole answer that its events add up to."""
    sources = Sources(())
    text: list[str] = []
    citations: list[Citation] = []
    async with aclosing(events):
        async for event in events:
            match event:
                case Sources():
                    sources = event
                case Delta():
                    text.append(event.text)
                case Citation():
                    citations.append(event)
                case Final():
                    return Answer(
                        question,
                        "".join(text),
                        sources.sources,
                        tuple(citations),
                        event,
                        sources.standalone_question,
                    )
    raise Internal("the answer ended before its end")
