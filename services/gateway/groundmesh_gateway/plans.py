"""What a stream of documents is written to, read again when a reindex begins or ends."""

import asyncio
from collections.abc import Awaitable, Callable

from groundmesh_gateway.ingestion.model import Plan


class Plans:
    """The plan of one stream; many documents that find it old have it read again once."""

    def __init__(self, plan: Plan, read: Callable[[], Awaitable[Plan]]) -> None:
        """``read`` gives the collection's plan as it is now."""
        self.now = plan
        self._read = read
        self._reading = asyncio.Lock()

    async def renew(self, old: Plan) -> Plan:
        """The plan that is not ``old``, unless that still holds."""
        async with self._reading:
            if self.now == old:
                self.now = await self._read()
            return self.now
