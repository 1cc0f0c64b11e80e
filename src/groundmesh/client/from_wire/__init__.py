"""From protobuf messages to the client's values."""

from groundmesh.client.from_wire.answers import ask_event
from groundmesh.client.from_wire.collections import collection, reindex, reindex_event
from groundmesh.client.from_wire.documents import chunk, document
from groundmesh.client.from_wire.ingestion import ingest_event
from groundmesh.client.from_wire.search import search_result
from groundmesh.client.from_wire.servers import peer_status, server_status

__all__ = [
    "ask_event",
    "chunk",
    "collection",
    "document",
    "ingest_event",
    "peer_status",
    "reindex",
    "reindex_event",
    "search_result",
    "server_status",
]
