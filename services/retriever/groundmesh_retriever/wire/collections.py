"""Collections as they travel."""

from groundmesh.errors import InvalidArgument
from groundmesh.names import CollectionName, TenantName
from groundmesh.server.checks import require_name
from groundmesh.v1 import collection_pb2, embedder_pb2
from groundmesh_retriever.collections import complete
from groundmesh_retriever.model import (
    Calibration,
    CollectionChange,
    CollectionView,
    EmbeddingModel,
    IndexConfig,
    Pooling,
    ReindexView,
    Splitting,
)
from groundmesh_retriever.reindexing import IndexChange
from groundmesh_retriever.wire.common import timestamp

_POOLINGS = {
    number: Pooling[name.removeprefix("POOLING_")] for name, number in embedder_pb2.Pooling.items()
}
_POOLING_NUMBERS = {pooling: number for number, pooling in _POOLINGS.items()}


def new_name(request: collection_pb2.CreateCollectionRequest) -> CollectionName:
    """The name of a collection to create."""
    parent = require_name(request.parent, TenantName, field="parent")
    return CollectionName.parse(
        f"{parent}/collections/{request.collection_id}", field="collection_id"
    )


def to_config(sent: collection_pb2.IndexConfig) -> IndexConfig:
    """The settings of an index, with what may be left out filled in."""
    config = IndexConfig(
        embedding=_to_embedding(sent.embedding),
        splitting=Splitting(
            max_tokens=sent.splitting.max_tokens,
            overlap_tokens=sent.splitting.overlap_tokens,
            method=sent.splitting.method,
        ),
        language=sent.analysis.language,
    )
    return complete(config, overlap_given=sent.splitting.HasField("overlap_tokens"))


def to_change(sent: collection_pb2.IndexConfig) -> IndexChange:
    """What of an index's settings is to be different."""
    splitting = sent.splitting
    return IndexChange(
        embedding=_to_embedding(sent.embedding) if sent.embedding.model else None,
        max_tokens=splitting.max_tokens or None,
        overlap_tokens=splitting.overlap_tokens if splitting.HasField("overlap_tokens") else None,
        method=splitting.method or None,
        language=sent.analysis.language or None,
    )


def to_collection_change(request: collection_pb2.UpdateCollectionRequest) -> CollectionChange:
    """What of a collection is to be different; an empty mask means the description, as ever."""
    fields = frozenset(request.update_mask.paths) or frozenset({"description"})
    if not fields <= {"description", "calibration"}:
        raise InvalidArgument.of_field(
            "update_mask", "only description and calibration can be changed"
        )
    sent = request.collection
    given = "calibration" in fields and sent.HasField("calibration")
    return CollectionChange(
        fields, sent.description, _to_calibration(sent.calibration) if given else None
    )


def from_reindex(view: ReindexView) -> collection_pb2.Reindex:
    """A reindex under way."""
    reindex = view.reindex
    return collection_pb2.Reindex(
        reindex_id=reindex.id,
        state=collection_pb2.REINDEX_STATE_BUILDING
        if view.missing_count
        else collection_pb2.REINDEX_STATE_BUILT,
        index=_from_config(reindex.index.config),
        document_count=view.document_count,
        begin_time=timestamp(reindex.begin_time),
        index_version=reindex.index.version,
    )


def from_view(view: CollectionView) -> collection_pb2.Collection:
    """A collection with its counts and its reindex."""
    collection = view.collection
    return collection_pb2.Collection(
        name=str(collection.name),
        description=collection.description,
        index=_from_config(collection.index.config),
        index_version=collection.index.version,
        document_count=view.document_count,
        chunk_count=view.chunk_count,
        create_time=timestamp(collection.create_time),
        update_time=timestamp(collection.update_time),
        reindex=from_reindex(view.reindex) if view.reindex else None,
        calibration=_from_calibration(collection.calibration) if collection.calibration else None,
    )


def _to_calibration(sent: collection_pb2.Calibration) -> Calibration:
    return Calibration(
        min_evidence=sent.min_evidence,
        auc=sent.auc,
        false_refusal_rate=sent.false_refusal_rate,
        false_answer_rate=sent.false_answer_rate,
        answerable_questions=sent.answerable_questions,
        unanswerable_questions=sent.unanswerable_questions,
    )


def _from_calibration(calibration: Calibration) -> collection_pb2.Calibration:
    since = calibration.update_time
    return collection_pb2.Calibration(
        min_evidence=calibration.min_evidence,
        auc=calibration.auc,
        false_refusal_rate=calibration.false_refusal_rate,
        false_answer_rate=calibration.false_answer_rate,
        answerable_questions=calibration.answerable_questions,
        unanswerable_questions=calibration.unanswerable_questions,
        update_time=timestamp(since) if since else None,
    )


def _to_embedding(sent: embedder_pb2.EmbeddingModel) -> EmbeddingModel:
    if sent.pooling not in _POOLINGS:
        raise InvalidArgument.of_field(
            "collection.index.embedding.pooling", f"{sent.pooling} is not known"
        )
    return EmbeddingModel(
        model=sent.model,
        revision=sent.revision,
        dimension=sent.dimension,
        max_input_tokens=sent.max_input_tokens,
        pooling=_POOLINGS[sent.pooling],
        normalized=sent.normalized,
        query_prompt=sent.query_prompt,
        passage_prompt=sent.passage_prompt,
        compute_dtype=sent.compute_dtype,
    )


def _from_config(config: IndexConfig) -> collection_pb2.IndexConfig:
    embedding, splitting = config.embedding, config.splitting
    return collection_pb2.IndexConfig(
        embedding=embedder_pb2.EmbeddingModel(
            model=embedding.model,
            revision=embedding.revision,
            dimension=embedding.dimension,
            max_input_tokens=embedding.max_input_tokens,
            pooling=_POOLING_NUMBERS[embedding.pooling],
            normalized=embedding.normalized,
            query_prompt=embedding.query_prompt,
            passage_prompt=embedding.passage_prompt,
            compute_dtype=embedding.compute_dtype,
        ),
        splitting=collection_pb2.SplittingConfig(
            max_tokens=splitting.max_tokens,
            overlap_tokens=splitting.overlap_tokens,
            method=splitting.method,
        ),
        analysis=collection_pb2.AnalysisConfig(language=config.language),
    )
