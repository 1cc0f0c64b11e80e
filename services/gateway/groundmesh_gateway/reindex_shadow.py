"""The retriever, as who builds a shadow index wants it."""

from collections.abc import AsyncGenerator, AsyncIterator

from groundmesh.errors import Unavailable
from groundmesh.v1 import retriever_pb2, retriever_pb2_grpc
from groundmesh_gateway import ingest_wire
from groundmesh_gateway.downstreams import Downstream
from groundmesh_gateway.ingestion.model import ChunkStream, EmbeddedChunks, Target
from groundmesh_gateway.ingestion.rebuilding import UnbuiltDocument, UnbuiltName
from groundmesh_gateway.ingestion.splitting_again import KeptText
from groundmesh_gateway.write_streams import WriteStreams

_PAGE = 200


class RemoteShadow:
    """The shadow index of one reindex in the retriever."""

    def __init__(
        self, retriever: Downstream, streams: WriteStreams, target: Target, *, timeout_s: float
    ) -> None:
        """``timeout_s`` is for each call but a write."""
        self._retriever = retriever
        self._streams = streams
        self._target = target
        self._timeout_s = timeout_s

    async def page(self, token: str) -> tuple[list[UnbuiltName], str]:
        """Some documents that it lacks, and the token of the next."""
        request = retriever_pb2.ListUnbuiltDocumentsRequest(
            parent=self._target.collection,
            reindex_id=self._target.reindex_id,
            page_size=_PAGE,
            page_token=token,
        )
        with self._retriever.errors():
            response = await self._stub().ListUnbuiltDocuments(request, timeout=self._timeout_s)
        names = [UnbuiltName(each.name, each.uri, each.text_bytes) for each in response.documents]
        return names, response.next_page_token

    async def read(self, name: str) -> UnbuiltDocument:
        """A document with its text and outline."""
        call = self._stub().ReadUnbuiltDocument(
            retriever_pb2.ReadUnbuiltDocumentRequest(name=name), timeout=self._timeout_s
        )
        head = retriever_pb2.UnbuiltDocument()
        text, outline = bytearray(), bytearray()
        with self._retriever.errors():
            async for part in call:
                head.MergeFrom(part.document)
                text += part.text_part
                outline += part.outline_part
        if len(text) != head.document.text_bytes:
            raise Unavailable(f"the retriever broke off in the text of {name}")
        document = head.document
        kept = KeptText(document.uri, document.media_type, bytes(text), bytes(outline))
        return UnbuiltDocument(name, head.version, kept)

    async def write(
        self, document: UnbuiltDocument, parts: AsyncIterator[EmbeddedChunks], count: int
    ) -> None:
        """Put the chunks of a document into it."""
        steps: AsyncGenerator[retriever_pb2.UpsertDocumentsRequest, None]
        steps = ingest_wire.shadow_steps(
            self._target, document.name, document.version, ChunkStream(parts, count)
        )
        await self._streams.write(steps)

    def _stub(self) -> "retriever_pb2_grpc.RetrieverServiceAsyncStub":
        return retriever_pb2_grpc.RetrieverServiceStub(self._retriever.channel)
