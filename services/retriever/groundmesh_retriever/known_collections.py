"""Collections as they were last seen, so that a search need not ask the catalog for them first.

What is known may be old: another replica may have deleted the collection, or swapped its index.
So nobody may act on it alone: a search checks it with the answer of the catalog that it needs in
any case (``live_versions``), and any error that what is old could have caused renews it first.
"""

from collections.abc import Sequence

from groundmesh.names import CollectionName
from groundmesh_retriever.catalog import collections as rows
from groundmesh_retriever.catalog.database import Database
from groundmesh_retriever.model import Collection
from groundmesh_retriever.parts import no_collection

_MOST = 4_096


class KnownCollections:
    """The collections that were searched last, as they were then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[CollectionName, Collection] = {}

    async def get(self, names: Sequence[CollectionName]) -> list[Collection]:
        """These collections, perhaps as they were; NotFound names one that is not there."""
        known = {name: self._known[name] for name in names if name in self._known}
        if new := [name for name in names if name not in known]:
            known |= await self._read(new)
        return [known[name] for name in names]

    async def renew(self, seen: Sequence[Collection]) -> bool:
        """Read them anew; whether any has another index now. NotFound for one that is gone."""
        for collection in seen:
            self._known.pop(collection.name, None)
        now = await self._read([collection.name for collection in seen])
        return any(now[collection.name].index != collection.index for collection in seen)

    async def _read(self, names: Sequence[CollectionName]) -> dict[CollectionName, Collection]:
        found = await self._database.read(lambda connection: rows.find_all(connection, names))
        for name in names:
            if name not in found:
                raise no_collection(name)
        self._known |= found
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
        return found
