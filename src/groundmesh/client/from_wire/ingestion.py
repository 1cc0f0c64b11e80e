"""The events of an ingestion."""

from groundmesh.client.from_wire.common import enum_value, seconds
from groundmesh.client.ingestion import DocumentIngested, IngestEvent, IngestProgress, Outcome
from groundmesh.status import from_status
from groundmesh.v1 import gateway_pb2


def ingest_event(wire: gateway_pb2.IngestResponse) -> IngestEvent | None:
    """What happened to documents; None for a kind that this client does not know."""
    match wire.WhichOneof("event"):
        case "document":
            return _document_ingested(wire.document)
        case "progress":
            return IngestProgress(
                documents_done=wire.progress.documents_done,
                documents_failed=wire.progress.documents_failed,
                chunks=wire.progress.chunks,
                bytes_read=wire.progress.bytes,
                elapsed_s=seconds(wire.progress.elapsed),
                chunks_per_s=wire.progress.chunks_per_second,
                bytes_per_s=wire.progress.bytes_per_second,
            )
        case _:
            return None


def _document_ingested(wire: gateway_pb2.DocumentIngested) -> DocumentIngested:
    return DocumentIngested(
        uri=wire.uri,
        outcome=enum_value(Outcome, gateway_pb2.IngestOutcome.DESCRIPTOR, wire.outcome),
        chunk_count=wire.chunk_count,
        name=wire.name,
        error=from_status(wire.error) if wire.HasField("error") else None,
    )
