"""What goes into an ingestion, and the events that come out of it."""

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from groundmesh.client.values import Metadata
from groundmesh.errors import MeshError

PART_BYTES = 1024 * 1024
"""How much of a file is read and sent at once."""


@dataclass(frozen=True)
class Upload:
    """A document to ingest: its bytes, or the file that they are read from, part by part."""

    uri: str
    content: bytes | Path
    media_type: str = ""
    """As in RFC 6838; empty: the server finds it out."""
    title: str = ""
    """For people; empty: taken from the document."""
    reader_labels: tuple[str, ...] = ()
    """Who may read it; empty: everybody of the tenant."""
    metadata: Metadata = field(default_factory=dict)

    @classmethod
    def of_file(cls, path: Path | str) -> "Upload":
        """A file, known by the ``file://`` URI of its absolute path."""
        # Not resolve(): a linked file is known by the name that its user sees.
        absolute = Path(os.path.abspath(path))  # noqa: PTH100
        return cls(uri=absolute.as_uri(), content=absolute)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The content, in order; a file is read off the event loop."""
        if isinstance(self.content, bytes):
            for start in range(0, len(self.content), PART_BYTES):
                yield self.content[start : start + PART_BYTES]
            return
        file = await asyncio.to_thread(self.content.open, "rb")
        with file:
            while part := await asyncio.to_thread(file.read, PART_BYTES):
                yield part


class Outcome(StrEnum):
    """What became of a document."""

    UNSPECIFIED = "UNSPECIFIED"
    INDEXED = "INDEXED"
    """It is new and can be found."""
    REPLACED = "REPLACED"
    """It took the place of another version."""
    UNCHANGED = "UNCHANGED"
    """The same version was there."""
    FAILED = "FAILED"
    """It is not in; ``error`` says why. A version that was there before stays."""


@dataclass(frozen=True)
class DocumentIngested:
    """What became of one document."""

    uri: str
    outcome: Outcome
    chunk_count: int = 0
    name: str = ""
    """Its resource name; empty when it failed."""
    error: MeshError | None = None


@dataclass(frozen=True)
class IngestProgress:
    """How far the whole is, as the server counts it."""

    documents_done: int
    documents_failed: int
    chunks: int
    bytes_read: int
    elapsed_s: float
    chunks_per_s: float = 0.0
    """Over the last ten seconds."""
    bytes_per_s: float = 0.0
    """Likewise."""


IngestEvent: TypeAlias = DocumentIngested | IngestProgress
