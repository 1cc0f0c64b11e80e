"""The bounds of ingestion."""

from dataclasses import dataclass

from groundmesh_gateway.workers import WorkerLimits


@dataclass(frozen=True)
class IngestOptions:
    """What all streams together, and each of them, may take."""

    parse_workers: int
    """Worker processes of all streams."""
    worker: WorkerLimits
    bytes_in_hand: int
    """Bytes of documents of all streams that were read and are not done; when there are more, no
    stream is read until there is room again."""
    documents_in_hand: int
    """Documents of one stream that are worked on side by side."""
    max_document_bytes: int
    embed_batch_texts: int
    """Chunks in one call of the embedder."""
    embed_calls: int
    """Calls of the embedder that one stream has under way."""
    embed_timeout_s: float
    write_streams: int
    """Documents of one stream that are written side by side."""
    write_timeout_s: float
    patience_s: float
    """How long a service may be away before documents fail for it."""
