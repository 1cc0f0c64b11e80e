"""Reindexing: a shadow index beside the one that serves, until one transaction swaps them.

While a reindex is under way every committed write of a document has its chunks in both indexes,
and every delete takes them out of both, in one transaction of the catalog. So the documents that
the shadow lacks are some of those that were there at the beginning, and only become fewer.
"""

import secrets
from dataclasses import dataclass, replace

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from groundmesh.errors import (
    FailedPrecondition,
    Internal,
    MeshError,
    NotFound,
    PermissionDenied,
    Reason,
)
from groundmesh.identity import Principal
from groundmesh.names import CollectionName
from groundmesh_retriever.catalog import collections as collection_rows
from groundmesh_retriever.catalog import reindexes as rows
from groundmesh_retriever.catalog import times
from groundmesh_retriever.catalog.tables import ReindexState
from groundmesh_retriever.collections import check_config, index_spec
from groundmesh_retriever.model import (
    Collection,
    CollectionView,
    EmbeddingModel,
    IndexConfig,
    Reindex,
    ReindexView,
)
from groundmesh_retriever.parts import Parts, found_collection, index_changed, no_collection
from groundmesh_retriever.sweep import Sweeper


@dataclass(frozen=True)
class IndexChange:
    """What of an index's settings is to be different; None stays as it is."""

    embedding: EmbeddingModel | None = None
    max_tokens: int | None = None
    overlap_tokens: int | None = None
    method: str | None = None
    language: str | None = None

    def applied(self, config: IndexConfig) -> IndexConfig:
        """The settings with the change."""
        splitting = {
            name: value
            for name in ("max_tokens", "overlap_tokens", "method")
            if (value := getattr(self, name)) is not None
        }
        return IndexConfig(
            self.embedding or config.embedding,
            replace(config.splitting, **splitting),
            self.language or config.language,
        )


class Reindexes:
    """The reindexes of collections. They touch every document, so only who reads all may ask."""

    def __init__(self, parts: Parts, sweeper: Sweeper) -> None:
        self._parts = parts
        self._sweeper = sweeper

    async def begin(
        self, principal: Principal, name: CollectionName, change: IndexChange, *, request_id: str
    ) -> ReindexView:
        """Put a shadow index beside the one that serves."""
        check_reads_all(principal)
        async with self._parts.database.reading() as connection:
            view = await self._parts.view(connection, name)
            if begun := await self._begun(connection, view, request_id):
                return begun
        collection = view.collection
        config = change.applied(collection.index.config)
        check_config(config, at="index")
        index = await self._parts.new_index(config, version=collection.index.version + 1)
        # As with a new collection: the index is noted, made, and then committed.
        async with self._parts.database.writing() as connection:
            await collection_rows.add_pending_index(connection, collection.uid, index)
        now = times.to_datetime(times.now())
        reindex = Reindex(secrets.token_hex(8), index, now)
        try:
            await self._parts.vectors.create_index(index_spec(index))
            return await self._add(collection, reindex, request_id)
        except MeshError:
            await self._parts.give_up_index(index)
            self._sweeper.wake()
            raise

    async def commit(
        self, principal: Principal, name: CollectionName, reindex_id: str
    ) -> CollectionView:
        """Swap the indexes, if they hold the same documents."""
        check_reads_all(principal)
        async with self._parts.database.writing() as connection:
            collection = await self._locked(connection, name)
            reindex = await of_state(connection, collection, reindex_id, ReindexState.COMMITTED)
            if reindex is not None:
                await _check_complete(connection, collection, reindex)
                await rows.swap(connection, collection, reindex)
            view = await self._parts.view(connection, name)
        self._sweeper.wake()
        return view

    async def abandon(
        self, principal: Principal, name: CollectionName, reindex_id: str
    ) -> CollectionView:
        """Give the shadow index up."""
        check_reads_all(principal)
        async with self._parts.database.writing() as connection:
            collection = await self._locked(connection, name)
            reindex = await of_state(connection, collection, reindex_id, ReindexState.ABANDONED)
            if reindex is not None:
                await rows.abandon(connection, reindex)
            view = await self._parts.view(connection, name)
        self._sweeper.wake()
        return view

    async def _add(self, collection: Collection, reindex: Reindex, request_id: str) -> ReindexView:
        try:
            async with self._parts.database.writing() as connection:
                now = await self._locked(connection, collection.name)
                if now.index.id != collection.index.id:
                    raise index_changed(str(collection.name))
                await rows.add(connection, collection.uid, reindex, request_id=request_id)
                view = await self._parts.view(connection, collection.name)
        except IntegrityError as error:  # another was faster, perhaps with the same request
            await self._parts.give_up_index(reindex.index)
            async with self._parts.database.reading() as connection:
                view = await self._parts.view(connection, collection.name)
                if begun := await self._begun(connection, view, request_id):
                    return begun
            raise index_changed(str(collection.name)) from error
        return view.reindex or ReindexView(reindex, 0, 0)

    async def _begun(
        self, connection: AsyncConnection, view: CollectionView, request_id: str
    ) -> ReindexView | None:
        """What the same request began before; FailedPrecondition when nothing can be begun."""
        if request_id:
            uid = view.collection.uid
            before = await rows.find(connection, uid, request_id=request_id)
            if before is not None and before.state is not ReindexState.UNDER_WAY:
                raise _over(before.id, before.state)
            if before is not None:
                return view.reindex
        if view.reindex is not None:
            raise FailedPrecondition(
                f"a reindex of {view.collection.name} is under way; resume it, or abandon it",
                reason=Reason.REINDEX_UNDER_WAY,
                metadata={"reindex_id": view.reindex.reindex.id},
            )
        return None

    async def _locked(self, connection: AsyncConnection, name: CollectionName) -> Collection:
        found = await found_collection(connection, name)
        locked = await collection_rows.lock(connection, found.uid)
        if locked is None:
            raise no_collection(name)
        return locked


async def of_state(
    connection: AsyncConnection,
    collection: Collection,
    reindex_id: str,
    wanted: ReindexState | None,
) -> Reindex | None:
    """The reindex, which must be under way; None when it has the wanted end already."""
    record = await rows.find(connection, collection.uid, reindex_id=reindex_id)
    if record is None:
        raise NotFound(
            f"{collection.name} has no reindex {reindex_id!r}", reason=Reason.REINDEX_NOT_FOUND
        )
    if record.state is ReindexState.UNDER_WAY:
        return await rows.under_way(connection, collection.uid)
    if record.state is wanted:
        return None
    raise _over(record.id, record.state)


async def _check_complete(
    connection: AsyncConnection, collection: Collection, reindex: Reindex
) -> None:
    _, lacking = (await rows.counts(connection, [collection.uid])).get(collection.uid, (0, 0))
    if lacking:
        raise FailedPrecondition(
            f"{lacking} documents of {collection.name} are not in the new index yet;"
            " go on with the reindex, then commit",
            reason=Reason.REINDEX_INCOMPLETE,
            metadata={"reindex_id": reindex.id, "missing": str(lacking)},
        )
    if strays := await rows.strays(connection, collection.uid, reindex):
        raise Internal(f"the new index of {collection.name} has {strays} documents too many")


def check_reads_all(principal: Principal) -> None:
    """PermissionDenied unless the principal reads every document of its tenant."""
    if not principal.reads_all:
        raise PermissionDenied(
            "a reindex touches every document, and you do not hold the labels to read all",
            reason=Reason.LABELS_NOT_HELD,
        )


def _over(reindex_id: str, state: ReindexState) -> FailedPrecondition:
    return FailedPrecondition(
        f"the reindex {reindex_id} was {state.value.lower()}",
        reason=Reason.REINDEX_OVER,
        metadata={"reindex_id": reindex_id},
    )
