"""Documents out of the steps of a stream, whole, and no faster than there is room for them."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace

from groundmesh.errors import Cancelled, InvalidArgument, MeshError, Reason, ResourceExhausted
from groundmesh.names import document_id
from groundmesh.server.checks import max_bytes, not_empty
from groundmesh_gateway.ingestion.budget import Budget, Held
from groundmesh_gateway.ingestion.model import Description, End, Part, Step
from groundmesh_gateway.ingestion.pipeline import Received
from groundmesh_gateway.parsing.media_types import essence

MAX_PART_BYTES = 4 * 1024 * 1024
"""The longest part of a document."""
MAX_DOCUMENTS = 1_000_000
"""The most documents of one stream."""
_MAX_URI_BYTES = 2048


@dataclass
class Arrival:
    """A document, or why it can't be taken in; whoever gets it owns ``held``."""

    uri: str
    held: Held
    _document: Received | MeshError

    def take(self) -> Received:
        """The document, which from now on only the caller keeps in memory; once."""
        document = self._document
        self._document = InvalidArgument("this document was taken before")
        if isinstance(document, MeshError):
            raise document
        return document


class Receiver:
    """Puts the documents of one stream together."""

    def __init__(self, in_hand: Budget, *, max_document_bytes: int) -> None:
        """``in_hand`` counts bytes, and is shared with other streams."""
        self._in_hand = in_hand
        self._max_document_bytes = max_document_bytes
        self._seen: set[int] = set()  # 70 MB at its bound
        self.bytes_read = 0

    async def arrivals(self, steps: AsyncIterator[Step]) -> AsyncGenerator[Arrival, None]:
        """Each document as it is complete; InvalidArgument for a step out of order."""
        draft: _Draft | None = None
        try:
            async for step in steps:
                if isinstance(step, Description):
                    if draft is not None:
                        raise InvalidArgument.of_field("document", "the one before has no end yet")
                    draft = await self._begin(step)
                elif draft is None:
                    raise InvalidArgument.of_field("document", "no document was begun")
                elif isinstance(step, Part):
                    self._add(draft, step.data)
                else:
                    arrival, draft = draft.arrival(step), None
                    yield arrival
            if draft is not None:
                raise InvalidArgument.of_field("end", "the last document has none")
        finally:
            if draft is not None:
                draft.held.resize(0)

    async def _begin(self, description: Description) -> "_Draft":
        # Only the beginning waits: what is begun can always be finished, so that streams with
        # half a document each never wait for one another.
        held = Held(self._in_hand)
        await held.begin()
        kind = essence(description.media_type)
        draft = _Draft(replace(description, media_type=kind), held)
        try:
            not_empty(description.uri, field="document.uri")
            max_bytes(description.uri, field="document.uri", limit=_MAX_URI_BYTES)
            self._note(description.uri)
            for name, value in description.metadata.items():
                if value is None:
                    at = f"document.metadata.{name}"
                    raise InvalidArgument.of_field(at, "must be a text, a number or a truth value")
        except InvalidArgument as error:
            draft.refuse(error)
        return draft

    def _note(self, uri: str) -> None:
        """InvalidArgument for a URI that was there before, and for one too many."""
        if len(self._seen) >= MAX_DOCUMENTS:
            limit = f"a stream takes {MAX_DOCUMENTS:,}; send the others on another one"
            raise InvalidArgument.of_field("document", limit)
        # 64 bits of it: among as many as a stream takes, two agree in 3 of 100 million streams.
        digest = int(document_id(uri)[:16], 16)
        if digest in self._seen:
            raise InvalidArgument.of_field("document.uri", "was on this stream before")
        self._seen.add(digest)

    def _add(self, draft: "_Draft", data: bytes) -> None:
        max_bytes(data, field="part", limit=MAX_PART_BYTES)
        self.bytes_read += len(data)
        if draft.size + len(data) > self._max_document_bytes:
            limit = f"it has more than {self._max_document_bytes} bytes"
            draft.refuse(ResourceExhausted(limit, reason=Reason.DOCUMENT_TOO_LARGE))
        draft.add(data)


class _Draft:
    """A document of which more is to come."""

    def __init__(self, description: Description, held: Held) -> None:
        self.held = held
        self.size = 0
        self._description = description
        self._parts: list[bytes] = []
        self._hash = hashlib.sha256()
        self._error: MeshError | None = None

    def refuse(self, error: MeshError) -> None:
        """Take no more of it; the first error stays."""
        self._error = self._error or error
        self._parts.clear()
        self.size = 0
        self.held.resize(1)

    def add(self, data: bytes) -> None:
        if self._error is None:
            self._parts.append(data)
            self._hash.update(data)
            self.size += len(data)
            self.held.resize(self.size)

    def arrival(self, end: End) -> Arrival:
        if end.abandon:
            self.refuse(Cancelled("its sender gave it up before its end"))
        document = self._error or Received(
            self._description, b"".join(self._parts), self._hash.hexdigest()
        )
        return Arrival(self._description.uri, self.held, document)
