"""Beginning to write documents: what is checked before the first byte of text is taken."""

from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.errors import InvalidArgument
from groundmesh.identity import Principal
from groundmesh.names import CollectionName, DocumentName, document_id
from groundmesh_retriever.catalog import documents as rows
from groundmesh_retriever.catalog import reindexes
from groundmesh_retriever.catalog.documents import LiveDocument
from groundmesh_retriever.draft_checks import check_draft, check_may_give, check_may_replace
from groundmesh_retriever.model import Collection, DocumentDraft, Reindex
from groundmesh_retriever.parts import ModelRef, Parts, found_collection, index_changed
from groundmesh_retriever.shadow_upload import (
    ShadowTarget,
    ShadowUpload,
    changed_meanwhile,
    reindex_over,
)
from groundmesh_retriever.sweep import Sweeper
from groundmesh_retriever.unbuilt import Unbuilt
from groundmesh_retriever.upload import Upload


@dataclass(frozen=True)
class ShadowRef:
    """The shadow index that chunks were made for, and the model that made their vectors."""

    reindex_id: str
    model: ModelRef


@dataclass(frozen=True)
class Made:
    """What the chunks of a document were made for."""

    model: ModelRef
    index_version: int = 0
    """0: not checked."""
    shadow: ShadowRef | None = None


class Uploads:
    """Begins writes of documents."""

    def __init__(self, parts: Parts, sweeper: Sweeper, *, max_text_bytes: int) -> None:
        self._parts = parts
        self._sweeper = sweeper
        self._max_text_bytes = max_text_bytes
        self._unbuilt = Unbuilt(parts)

    async def begin(
        self, principal: Principal, parent: CollectionName, draft: DocumentDraft, made: Made
    ) -> Upload:
        """Begin to write a document into a collection, with the chunks that were ``made``."""
        check_draft(draft)
        check_may_give(principal, draft.reader_labels)
        _check_named(made.model, "embedding_model")
        collection, reindex, old = await self._parts.database.look(
            partial(_known, parent, document_id(draft.uri))
        )
        if made.index_version not in (0, collection.index.version):
            raise index_changed(draft.uri)
        made.model.check(collection)
        if (reindex and reindex.id) != (made.shadow and made.shadow.reindex_id):
            raise index_changed(draft.uri)
        if reindex and made.shadow:
            _check_shadow(made.shadow, reindex, parent)
        if old is not None:
            check_may_replace(principal, old.document.draft.reader_labels)
        return Upload(
            self._parts,
            self._sweeper,
            collection,
            replace(draft, reader_labels=tuple(sorted(set(draft.reader_labels)))),
            old=old,
            reindex=reindex,
            limit=self._max_text_bytes,
        )

    async def begin_shadow(
        self, principal: Principal, name: DocumentName, version: str, target: ShadowRef
    ) -> ShadowUpload:
        """Begin to write what a document that is there has in the shadow index."""
        source = await self._unbuilt.read(principal, name)
        async with self._parts.database.reading() as connection:
            collection = await found_collection(connection, name.parent)
            reindex = await reindexes.under_way(connection, collection.uid)
        if reindex is None or reindex.id != target.reindex_id:
            raise reindex_over(target.reindex_id)
        _check_shadow(target, reindex, name.parent)
        if source.version != version:
            raise changed_meanwhile(name)
        return ShadowUpload(
            self._parts, self._sweeper, ShadowTarget(collection.uid, reindex), source
        )


async def _known(
    parent: CollectionName, document: str, connection: AsyncConnection
) -> tuple[Collection, Reindex | None, LiveDocument | None]:
    """The collection, its reindex under way, and the version of a document that is live."""
    collection = await found_collection(connection, parent)
    reindex = await reindexes.under_way(connection, collection.uid)
    return collection, reindex, await rows.find(connection, collection, document, labels=None)


def _check_shadow(target: ShadowRef, reindex: Reindex, collection: CollectionName) -> None:
    _check_named(target.model, "shadow.embedding_model")
    target.model.check_index(reindex.index, collection)


def _check_named(model: ModelRef, field: str) -> None:
    if not model.model or not model.revision:
        raise InvalidArgument.of_field(field, "and embedding_revision must be set")
