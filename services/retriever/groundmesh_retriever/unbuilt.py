"""What the shadow index of a reindex lacks, for who builds it."""

import zlib
from dataclasses import dataclass

from groundmesh.identity import Principal
from groundmesh.names import CollectionName, DocumentName
from groundmesh_retriever.catalog import documents as rows
from groundmesh_retriever.model import Document
from groundmesh_retriever.parts import Parts, found_collection, no_document
from groundmesh_retriever.reindexing import check_reads_all, of_state


@dataclass(frozen=True)
class UnbuiltDocument:
    """A document with all that splitting it anew takes."""

    document: Document
    version: str
    """Names what was read to who writes the shadow's chunks of it."""
    text: bytes
    outline: bytes


class Unbuilt:
    """Documents that are to be built, whatever their labels: only who reads all may ask."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def page(
        self,
        principal: Principal,
        name: CollectionName,
        reindex_id: str,
        *,
        page_size: int,
        page_token: str,
    ) -> tuple[list[Document], str]:
        """A page of the documents that the shadow lacks, and the token of the next."""
        check_reads_all(principal)
        tokens = await self._parts.page_tokens()
        listing = ("unbuilt", str(name), reindex_id)
        after = tokens.read(page_token, listing=listing)
        async with self._parts.database.reading() as connection:
            collection = await found_collection(connection, name)
            reindex = await of_state(connection, collection, reindex_id, None)
            found = await rows.missing(
                connection,
                collection,
                index_id=reindex.index.id if reindex else "",
                after_id=after,
                limit=page_size + 1,
            )
        if len(found) <= page_size:
            return found, ""
        page = found[:page_size]
        return page, tokens.make(page[-1].name.document, listing=listing)

    async def read(self, principal: Principal, name: DocumentName) -> UnbuiltDocument:
        """One document with its text and outline."""
        check_reads_all(principal)
        async with self._parts.database.reading() as connection:
            collection = await found_collection(connection, name.parent)
            live = await rows.find(connection, collection, name.document, labels=None)
            if live is None:
                raise no_document(name)
            outline = await rows.outline(connection, collection, name.document)
        document = live.document
        text = await self._parts.texts.read(document.text_sha256, 0, document.text_bytes)
        return UnbuiltDocument(
            document, live.version, text, zlib.decompress(outline) if outline else b""
        )
