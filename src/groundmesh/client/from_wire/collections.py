"""Collections and their reindexes."""

from groundmesh.client.from_wire.common import seconds, time
from groundmesh.client.values import (
    Calibration,
    Collection,
    EmbeddingModel,
    IndexSettings,
    Reindex,
    ReindexEvent,
    ReindexFailed,
    ReindexProgress,
)
from groundmesh.status import from_status
from groundmesh.v1 import collection_pb2, gateway_pb2


def collection(wire: collection_pb2.Collection) -> Collection:
    """A collection."""
    return Collection(
        name=wire.name,
        description=wire.description,
        index=_index_settings(wire.index),
        embedding=EmbeddingModel(
            model=wire.index.embedding.model,
            revision=wire.index.embedding.revision,
            dimension=wire.index.embedding.dimension,
            max_input_tokens=wire.index.embedding.max_input_tokens,
        ),
        index_version=wire.index_version,
        document_count=wire.document_count,
        chunk_count=wire.chunk_count,
        created=time(wire.create_time),
        updated=time(wire.update_time),
        reindex=reindex(wire.reindex) if wire.HasField("reindex") else None,
        calibration=_calibration(wire.calibration) if wire.HasField("calibration") else None,
    )


def reindex(wire: collection_pb2.Reindex) -> Reindex:
    """A reindex under way."""
    return Reindex(
        id=wire.reindex_id,
        built=wire.state == collection_pb2.REINDEX_STATE_BUILT,
        index=_index_settings(wire.index),
        document_count=wire.document_count,
        index_version=wire.index_version,
        began=time(wire.begin_time),
    )


def reindex_event(wire: gateway_pb2.RunReindexResponse) -> ReindexEvent | None:
    """What happened to a shadow index; None for what this client does not know."""
    match wire.WhichOneof("event"):
        case "failure":
            failure = wire.failure
            return ReindexFailed(failure.name, failure.uri, from_status(failure.error))
        case "progress":
            progress = wire.progress
            return ReindexProgress(
                documents_done=progress.documents_done,
                documents_total=progress.documents_total,
                documents_failed=progress.documents_failed,
                chunks=progress.chunks,
                elapsed_s=seconds(progress.elapsed),
            )
    return None


def _index_settings(wire: collection_pb2.IndexConfig) -> IndexSettings:
    overlap = wire.splitting.HasField("overlap_tokens")
    return IndexSettings(
        embedding_model=wire.embedding.model,
        max_tokens=wire.splitting.max_tokens,
        overlap_tokens=wire.splitting.overlap_tokens if overlap else None,
        language=wire.analysis.language,
    )


def _calibration(wire: collection_pb2.Calibration) -> Calibration:
    return Calibration(
        min_evidence=wire.min_evidence,
        auc=wire.auc,
        false_refusal_rate=wire.false_refusal_rate,
        false_answer_rate=wire.false_answer_rate,
        answerable_questions=wire.answerable_questions,
        unanswerable_questions=wire.unanswerable_questions,
        updated=time(wire.update_time) if wire.HasField("update_time") else None,
    )
