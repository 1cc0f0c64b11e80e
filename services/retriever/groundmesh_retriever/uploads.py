"""Beginning to write documents: what is checked before the first byte of text is taken."""

from dataclasses import replace

from groundmesh.errors import InvalidArgument
from groundmesh.identity import Principal
from groundmesh.names import CollectionName, document_id
from groundmesh_retriever.catalog import documents as rows
from groundmesh_retriever.draft_checks import check_draft, check_may_give, check_may_replace
from groundmesh_retriever.model import DocumentDraft
from groundmesh_retriever.parts import ModelRef, Parts, found_collection
from groundmesh_retriever.sweep import Sweeper
from groundmesh_retriever.upload import Upload


class Uploads:
    """Begins writes of documents."""

    def __init__(self, parts: Parts, sweeper: Sweeper, *, max_text_bytes: int) -> None:
        self._parts = parts
        self._sweeper = sweeper
        self._max_text_bytes = max_text_bytes

    async def begin(
        self, principal: Principal, parent: CollectionName, draft: DocumentDraft, model: ModelRef
    ) -> Upload:
        """Begin to write a document into a collection, with vectors of ``model``."""
        check_draft(draft)
        check_may_give(principal, draft.reader_labels)
        if not model.model or not model.revision:
            raise InvalidArgument.of_field("embedding_model", "and embedding_revision must be set")
        async with self._parts.database.reading() as connection:
            collection = await found_collection(connection, parent)
            model.check(collection)
            old = await rows.find(connection, collection, document_id(draft.uri), labels=None)
        if old is not None:
            check_may_replace(principal, old.document.draft.reader_labels)
        draft = replace(draft, reader_labels=tuple(sorted(set(draft.reader_labels))))
        return Upload(
            self._parts, self._sweeper, collection, draft, old=old, limit=self._max_text_bytes
        )
