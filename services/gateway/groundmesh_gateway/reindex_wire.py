"""What ``RunReindex`` tells, as it travels."""

from google.protobuf.duration_pb2 import Duration

from groundmesh.request_id import current_request_id
from groundmesh.status import to_status
from groundmesh.v1 import collection_pb2, gateway_pb2
from groundmesh_gateway.ingestion.rebuilding import BuildFailed, BuildProgress, Size


def to_size(collection: collection_pb2.Collection) -> Size:
    """How much there is to build, and how much of it is built."""
    return Size(total=collection.document_count, built=collection.reindex.document_count)


def to_reindex_response(event: BuildFailed | BuildProgress) -> gateway_pb2.RunReindexResponse:
    """An event for the client."""
    if isinstance(event, BuildFailed):
        failure = gateway_pb2.ReindexFailure(
            name=event.name,
            uri=event.uri,
            error=to_status(event.error, request_id=current_request_id()),
        )
        return gateway_pb2.RunReindexResponse(failure=failure)
    elapsed = Duration()
    elapsed.FromMilliseconds(round(event.elapsed_s * 1000))
    progress = gateway_pb2.ReindexProgress(
        documents_done=event.size.built,
        documents_total=event.size.total,
        documents_failed=event.failed,
        chunks=event.chunks,
        elapsed=elapsed,
    )
    return gateway_pb2.RunReindexResponse(progress=progress)
