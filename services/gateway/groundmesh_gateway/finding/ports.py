"""What finding passages needs of the mesh."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from groundmesh_gateway.finding.model import Embedded, Found, Wish

V = TypeVar("V")


class Finding(Protocol[V]):
    """What finding passages for one query needs of the mesh."""

    @property
    def wish(self) -> Wish:
        """What is wanted of them."""
        ...

    @property
    def wants_vector(self) -> bool:
        """Whether the search is by nearness, too."""
        ...

    async def embed(self) -> Embedded[V]:
        """The query's vector."""
        ...

    async def search(self, vector: V | None, *, depth: int) -> Found:
        """The best ``depth`` chunks for the query."""
        ...

    async def rerank(self, texts: Sequence[str]) -> Sequence[float]:
        """How well each text answers the query, by the cross-encoder; larger is better."""
        ...

    async def read(self, document: str, start_byte: int, end_byte: int) -> bytes:
        """A part of a document's text."""
        ...
