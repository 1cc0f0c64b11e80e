"""Writing the chunks of a document that is there into the shadow index of a reindex."""

from dataclasses import dataclass
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.errors import Aborted, FailedPrecondition, InvalidArgument, Reason
from groundmesh.names import DocumentName
from groundmesh_retriever.catalog import chunk_sets, reindexes
from groundmesh_retriever.catalog import collections as collection_rows
from groundmesh_retriever.catalog import documents as rows
from groundmesh_retriever.chunk_set import ChunkSet
from groundmesh_retriever.model import ChunkSpan, Outcome, Reindex, Upserted
from groundmesh_retriever.parts import Parts, no_collection, no_document
from groundmesh_retriever.stores.base import Vectors
from groundmesh_retriever.storing import Storing
from groundmesh_retriever.sweep import Sweeper
from groundmesh_retriever.unbuilt import UnbuiltDocument


@dataclass(frozen=True)
class ShadowTarget:
    """A reindex under way, and whose."""

    collection_uid: str
    reindex: Reindex


class ShadowUpload:
    """Chunks of one version of a document; they count only if the document is still that one.

    A document that was written since is in the shadow index by that write, a deleted one is gone
    from both: in neither case is there anything left to do.
    """

    def __init__(
        self, parts: Parts, sweeper: Sweeper, target: ShadowTarget, source: UnbuiltDocument
    ) -> None:
        """``source`` is what the chunks were made of."""
        self._parts = parts
        self._sweeper = sweeper
        self._target = target
        self._source = source
        self._storing = Storing()
        self._chunks = ChunkSet(
            parts,
            self._name.parent,
            collection_uid=target.collection_uid,
            index=target.reindex.index,
            draft=source.document.draft,
            storing=self._storing,
        )
        self._begun = False

    async def add_text(self, part: bytes) -> None:
        """Refuse it: the text is kept already."""
        raise InvalidArgument.of_field("text_part", "goes with a document, not with a shadow")

    async def add_outline(self, part: bytes) -> None:
        """Refuse it: the outline is kept already."""
        raise InvalidArgument.of_field("outline_part", "goes with a document, not with a shadow")

    async def add_chunks(
        self, spans: list[ChunkSpan], vectors: Vectors, *, shadow: bool = False
    ) -> None:
        """Take more chunks with their vectors, and write them to the store."""
        if not shadow:
            raise InvalidArgument.of_field("chunks.shadow", "must be set: nothing else is written")
        self._chunks.take(spans, vectors)
        if not self._begun:
            self._begun = True
            begin = partial(self._chunks.begin, text_sha256=self._source.document.text_sha256)
            await self._parts.database.write(begin)
        await self._chunks.write(self._source.text, spans, vectors)

    async def commit(self, chunk_count: int, shadow_chunk_count: int = 0) -> Upserted:
        """Put the document into the shadow index, unless it is there, or is another now."""
        if chunk_count or shadow_chunk_count != self._chunks.count or shadow_chunk_count < 1:
            raise InvalidArgument.of_field(
                "commit.shadow_chunk_count",
                f"must be above 0, and {self._chunks.count} were sent; chunk_count must be 0",
            )
        upserted = await self._parts.database.write(self._committed)
        if upserted.outcome is Outcome.UNCHANGED:
            await self.abandon()
        return upserted

    async def abandon(self) -> None:
        """Leave what was written to the sweep, as an upload does."""
        if self._begun and await self._storing.is_over():
            give_up = partial(self._chunks.give_up, text_sha256=self._source.document.text_sha256)
            await self._parts.database.write(give_up)
            self._sweeper.wake()

    async def _committed(self, connection: AsyncConnection) -> Upserted:
        name, uid, reindex = self._name, self._target.collection_uid, self._target.reindex
        collection = await collection_rows.lock(connection, uid)
        if collection is None:
            raise no_collection(name.parent)
        if await reindexes.under_way(connection, uid) != reindex:
            raise reindex_over(reindex.id)
        live = await rows.find(connection, collection, name.document, labels=None)
        if live is None:
            raise no_document(name)
        if live.version != self._source.version:
            raise changed_meanwhile(name)
        if await chunk_sets.has_live(connection, reindex.index.id, name.document):
            return Upserted(live.document, Outcome.UNCHANGED)
        moment = await collection_rows.touch(connection, uid)
        if moment is None:
            raise no_collection(name.parent)
        await self._chunks.make_live(connection, moment=moment)
        return Upserted(live.document, Outcome.CREATED)

    @property
    def _name(self) -> DocumentName:
        return self._source.document.name


def changed_meanwhile(name: DocumentName) -> Aborted:
    """The error for chunks of a version that is none any more."""
    return Aborted(f"{name} was written anew meanwhile, into the shadow index, too")


def reindex_over(reindex_id: str) -> FailedPrecondition:
    """The error for a write to a shadow index that is none any more."""
    return FailedPrecondition(
        f"the reindex {reindex_id!r} is not under way", reason=Reason.REINDEX_OVER
    )
