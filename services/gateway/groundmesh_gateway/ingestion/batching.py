"""Embedding of many documents' chunks together, so that no call is for a handful of texts."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from groundmesh.errors import MeshError
from groundmesh_gateway.ingestion.budget import Budget
from groundmesh_gateway.ingestion.model import Embedder, Matrix
from groundmesh_gateway.ingestion.patience import Patience


@dataclass(frozen=True)
class _Order:
    """Texts of one document, and where their vectors are waited for."""

    texts: Sequence[str]
    vectors: asyncio.Future[Matrix] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class EmbeddingBatcher:
    """Gathers orders into calls; run ``work`` once for each call that may be under way."""

    def __init__(
        self, embedder: Embedder, *, patience: Patience, batch_texts: int, max_texts: int
    ) -> None:
        """``batch_texts`` go into one call; ``max_texts`` bounds what waits or is embedded."""
        self._embedder = embedder
        self._patience = patience
        self._batch_texts = batch_texts
        self._room = Budget(max_texts)
        self._orders: deque[_Order] = deque()
        self._ordered = asyncio.Event()

    async def order(self, texts: Sequence[str]) -> asyncio.Future[Matrix]:
        """Take an order as soon as there is room; the vectors come later, by the result.

        Who does not want them any more cancels it.
        """
        await self._room.acquire(len(texts))
        order = _Order(texts)
        order.vectors.add_done_callback(lambda _: self._room.release(len(texts)))
        self._orders.append(order)
        self._ordered.set()
        return order.vectors

    async def work(self) -> None:
        """Embed what is ordered, batch by batch, until cancelled."""
        while True:
            await self._ordered.wait()
            batch = self._next_batch()
            if batch:
                await self._embed(batch)

    def _next_batch(self) -> list[_Order]:
        batch: list[_Order] = []
        room = self._batch_texts
        while self._orders and (not batch or len(self._orders[0].texts) <= room):
            order = self._orders.popleft()
            if not order.vectors.done():
                batch.append(order)
                room -= len(order.texts)
        if not self._orders:
            self._ordered.clear()
        return batch

    async def _embed(self, batch: Sequence[_Order]) -> None:
        texts = [text for order in batch for text in order.texts]
        try:
            matrix = await self._patience.call(lambda: self._embedder.embed(texts))
        except MeshError as error:
            await self._fail(batch, error)
            return
        start = 0
        for order in batch:
            if not order.vectors.done():
                order.vectors.set_result(matrix.rows_from(start, len(order.texts)))
            start += len(order.texts)

    async def _fail(self, batch: Sequence[_Order], error: MeshError) -> None:
        """One document's text must not fail the others': ask for each alone."""
        if len(batch) > 1:
            for order in batch:
                await self._embed([order])
        elif not batch[0].vectors.done():
            batch[0].vectors.set_exception(error)
