"""What one search sees: of each document the version that was live when the search began.

The vector store and the catalog share no transaction, so a document can be replaced between the
store's look and the catalog's: the store's hits then belong to a version that is no longer live,
or to a part of one that was just being written. Every commit has a moment of its own in its
collection (``collections.touch``), and a search knows a moment before it began; so it notices that
it was overtaken, and is made again.
"""

from collections.abc import Set as AbstractSet

from groundmesh_retriever.catalog import times
from groundmesh_retriever.catalog.live_versions import LiveVersion, LiveVersions
from groundmesh_retriever.model import Collection
from groundmesh_retriever.stores.base import Freshness

_VISIBLE_AFTER_S = 10.0
"""What a search that is not STRONG may miss is younger; Milvus's own bound is 5 s."""


class Outdated(Exception):
    """The collection, or a document among the hits, is no longer what it was."""


class TooEarly(Exception):
    """The store may not show a fresh version yet to a search that is not STRONG."""


class Sight:
    """Which of the versions that were hit count in one search of a collection."""

    def __init__(self, collection: Collection, freshness: Freshness, ghosts: set[str]) -> None:
        """``collection`` was read before the store was asked.

        ``ghosts`` are versions that earlier tries have found, and the catalog did not know.
        """
        self._index_id = collection.index.id
        self._moment = times.from_datetime(collection.update_time)
        self._swap_time = collection.swap_time
        self._freshness = freshness
        self._ghosts = ghosts

    def of(self, hit: AbstractSet[str], now: LiveVersions | None) -> dict[str, LiveVersion]:
        """Those of these versions that count, by what the catalog says now.

        Raises:
            Outdated: what was hit is not sure to be what was live when the search began.
            TooEarly: nor is it, but for a search that is STRONG.
        """
        if now is None or now.index_id != self._index_id:
            raise Outdated
        self._check_ghosts(hit - now.of.keys())
        live = {each.version: each for each in now.of.values() if each is not None}
        if any(each.since > self._moment for each in live.values()):
            raise Outdated
        if self._freshness is not Freshness.STRONG:
            oldest = times.ago(_VISIBLE_AFTER_S)
            if any(live[version].since > oldest for version in live.keys() - hit):
                raise TooEarly
            # All of an index that has just taken the place of another may be that young.
            if self._swap_time and times.from_datetime(self._swap_time) > oldest:
                raise TooEarly
        return {version: each for version, each in live.items() if version in hit}

    def _check_ghosts(self, ghosts: AbstractSet[str]) -> None:
        """What was swept just now is not found again; what stays has lost its catalog."""
        if ghosts - self._ghosts:
            self._ghosts |= ghosts
            raise Outdated
