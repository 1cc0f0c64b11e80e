"""From which nearness on each collection answers, as it was calibrated; kept for a moment."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from groundmesh.errors import MeshError
from groundmesh.shared_fetch import SharedFetch
from groundmesh.v1 import collection_pb2, collection_pb2_grpc
from groundmesh_gateway.downstreams import Downstream

_MOST = 10_000
_FETCH_LIMIT_S = 2.0
_RECHECK_S = 3.0
"""After so long a change is seen."""


class Calibrations:
    """What collections answer from; asked for beside the search, so that it costs no time."""

    def __init__(
        self,
        retriever: Downstream,
        *,
        recheck_s: float = _RECHECK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is fetched before the first question."""
        self._retriever = retriever
        self._recheck_s = recheck_s
        self._clock = clock
        self._known: dict[str, tuple[float, float | None]] = {}
        self._fetching = SharedFetch(self._fetch, limit_s=_FETCH_LIMIT_S)

    async def of(self, collections: Iterable[str]) -> Mapping[str, float]:
        """The least cosine of each collection that has one set.

        What can't be learned now is as it was last, and of what was never known there is none: the
        search, which asks the same service, says what is wrong.
        """
        names = list(collections)
        found = await asyncio.gather(*map(self._get, names))
        return {name: bound for name, bound in zip(names, found, strict=True) if bound is not None}

    async def close(self) -> None:
        """End what is being fetched."""
        await self._fetching.close()

    async def _get(self, collection: str) -> float | None:
        known = self._known.get(collection)
        if known is not None and self._clock() < known[0] + self._recheck_s:
            return known[1]
        try:
            return await self._fetching.get(collection)
        except MeshError:
            return None if known is None else known[1]

    async def _fetch(self, collection: str) -> float | None:
        stub = collection_pb2_grpc.CollectionServiceStub(self._retriever.channel)
        with self._retriever.errors():
            response = await stub.GetCollection(
                collection_pb2.GetCollectionRequest(name=collection)
            )
        found = response.collection
        bound = found.calibration.min_evidence if found.HasField("calibration") else None
        self._known.pop(collection, None)
        self._known[collection] = (self._clock(), bound)
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
        return bound
