"""From the client's values to protobuf messages."""

from collections.abc import Sequence
from dataclasses import asdict

from google.protobuf.struct_pb2 import Struct, Value

from groundmesh.client.ingestion import Upload
from groundmesh.client.options import (
    AllOf,
    AnyOf,
    ChatMessage,
    Compare,
    Filter,
    Fusion,
    NoneOf,
    RankFusion,
    Retrieval,
    Sampling,
    WeightedFusion,
)
from groundmesh.client.values import Calibration, IndexSettings, Metadata
from groundmesh.v1 import (
    collection_pb2,
    embedder_pb2,
    gateway_pb2,
    generator_pb2,
    retriever_pb2,
)


def index_config(settings: IndexSettings) -> collection_pb2.IndexConfig:
    """Settings of an index; what is empty stays the server's default."""
    splitting = collection_pb2.SplittingConfig(max_tokens=settings.max_tokens)
    if settings.overlap_tokens is not None:
        splitting.overlap_tokens = settings.overlap_tokens
    return collection_pb2.IndexConfig(
        embedding=embedder_pb2.EmbeddingModel(model=settings.embedding_model),
        splitting=splitting,
        analysis=collection_pb2.AnalysisConfig(language=settings.language),
    )


def calibration(values: Calibration) -> collection_pb2.Calibration:
    """From when on a question is answered."""
    return collection_pb2.Calibration(
        min_evidence=values.min_evidence,
        auc=values.auc,
        false_refusal_rate=values.false_refusal_rate,
        false_answer_rate=values.false_answer_rate,
        answerable_questions=values.answerable_questions,
        unanswerable_questions=values.unanswerable_questions,
    )


def retrieval_options(retrieval: Retrieval) -> gateway_pb2.RetrievalOptions:
    """How passages are found."""
    wire_filter = None if retrieval.filter is None else _filter(retrieval.filter)
    diversity = None
    if retrieval.diversity is not None:
        diversity = gateway_pb2.Diversity(relevance_weight=retrieval.diversity.relevance_weight)
    return gateway_pb2.RetrievalOptions(
        mode=retriever_pb2.SearchMode.Value(f"SEARCH_MODE_{retrieval.mode}"),
        limit=retrieval.limit,
        max_chunks_per_document=retrieval.max_chunks_per_document,
        filter=wire_filter,
        consistency=retriever_pb2.Consistency.Value(f"CONSISTENCY_{retrieval.consistency}"),
        fusion=None if retrieval.fusion is None else _fusion(retrieval.fusion),
        rerank=retrieval.rerank,
        diversity=diversity,
        merge_neighbors=retrieval.merge_neighbors,
    )


def sampling(values: Sampling) -> generator_pb2.Sampling:
    """How tokens are chosen; what is None stays absent."""
    given = {name: value for name, value in asdict(values).items() if value is not None}
    return generator_pb2.Sampling(**given)


def chat_message(message: ChatMessage) -> generator_pb2.ChatMessage:
    """A message of a conversation."""
    role = generator_pb2.Role.Value(f"ROLE_{message.role.name}")
    return generator_pb2.ChatMessage(role=role, content=message.content)


def ingest_document(upload: Upload) -> gateway_pb2.IngestDocument:
    """The head of a document."""
    return gateway_pb2.IngestDocument(
        uri=upload.uri,
        media_type=upload.media_type,
        title=upload.title,
        reader_labels=upload.reader_labels,
        metadata=_struct(upload.metadata),
    )


def _struct(metadata: Metadata) -> Struct | None:
    if not metadata:
        return None
    struct = Struct()
    struct.update(metadata)
    return struct


def _fusion(value: Fusion) -> retriever_pb2.Fusion:
    match value:
        case RankFusion(constant):
            return retriever_pb2.Fusion(ranks=retriever_pb2.RankFusion(constant=constant))
        case WeightedFusion(weight):
            return retriever_pb2.Fusion(weights=retriever_pb2.WeightedFusion(dense_weight=weight))


def _filter(value: Filter) -> retriever_pb2.Filter:
    match value:
        case Compare():
            return retriever_pb2.Filter(comparison=_comparison(value))
        case AllOf(filters):
            return retriever_pb2.Filter(all_of=_filters(filters))
        case AnyOf(filters):
            return retriever_pb2.Filter(any_of=_filters(filters))
        case NoneOf(filters):
            return retriever_pb2.Filter(none_of=_filters(filters))


def _filters(filters: Sequence[Filter]) -> retriever_pb2.FilterList:
    return retriever_pb2.FilterList(filters=[_filter(each) for each in filters])


def _comparison(value: Compare) -> retriever_pb2.Comparison:
    return retriever_pb2.Comparison(
        field=value.field,
        operator=retriever_pb2.ComparisonOperator.Value(f"COMPARISON_OPERATOR_{value.operator}"),
        values=[_value(each) for each in value.values],
    )


def _value(value: str | float | bool) -> Value:
    if isinstance(value, bool):  # first: a bool is an int, too
        return Value(bool_value=value)
    return Value(string_value=value) if isinstance(value, str) else Value(number_value=value)
