"""Searches as they travel."""

from groundmesh.errors import InvalidArgument
from groundmesh.server.checks import in_range, known_enum, max_bytes
from groundmesh.v1 import retriever_pb2
from groundmesh_retriever import filters
from groundmesh_retriever.filters import AllOf, AnyOf, Comparison, Filter, Not, Operator
from groundmesh_retriever.parts import ModelRef
from groundmesh_retriever.search import Found, Mode, Query, Result
from groundmesh_retriever.stores.base import Freshness, Vectors
from groundmesh_retriever.wire.common import duration, matrix, scalar
from groundmesh_retriever.wire.documents import from_chunk

_DEFAULT_LIMIT = 10
_MAX_LIMIT = 1_000
_MAX_QUERY_BYTES = 8_192
_MAX_INT32 = (1 << 31) - 1
_MODES = {
    retriever_pb2.SEARCH_MODE_DENSE: Mode.DENSE,
    retriever_pb2.SEARCH_MODE_SPARSE: Mode.SPARSE,
    retriever_pb2.SEARCH_MODE_HYBRID: Mode.HYBRID,
}
_MODE_NUMBERS = {mode: number for number, mode in _MODES.items()}
_FRESHNESS = {
    retriever_pb2.CONSISTENCY_BOUNDED: Freshness.BOUNDED,
    retriever_pb2.CONSISTENCY_SESSION: Freshness.SESSION,
    retriever_pb2.CONSISTENCY_STRONG: Freshness.STRONG,
}
_OPERATORS = {
    retriever_pb2.COMPARISON_OPERATOR_EQUAL: Operator.EQUAL,
    retriever_pb2.COMPARISON_OPERATOR_NOT_EQUAL: Operator.NOT_EQUAL,
    retriever_pb2.COMPARISON_OPERATOR_LESS: Operator.LESS,
    retriever_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL: Operator.LESS_OR_EQUAL,
    retriever_pb2.COMPARISON_OPERATOR_GREATER: Operator.GREATER,
    retriever_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL: Operator.GREATER_OR_EQUAL,
    retriever_pb2.COMPARISON_OPERATOR_IN: Operator.IN,
}


def to_query(sent: retriever_pb2.SearchRequest) -> Query:
    """A search as it is asked, each field checked."""
    in_range(sent.limit, field="limit", low=0, high=_MAX_LIMIT)
    in_range(sent.max_chunks_per_document, field="max_chunks_per_document", low=0, high=_MAX_INT32)
    max_bytes(sent.query_text, field="query_text", limit=_MAX_QUERY_BYTES)
    mode = sent.mode and known_enum(sent.mode, retriever_pb2.SearchMode, field="mode")
    freshness = known_enum(
        sent.consistency,
        retriever_pb2.Consistency,
        field="consistency",
        default=retriever_pb2.CONSISTENCY_SESSION,
    )
    return Query(
        mode=_MODES.get(mode),
        text=sent.query_text,
        vector=_to_vector(sent),
        model=ModelRef(sent.embedding_model, sent.embedding_revision),
        limit=sent.limit or _DEFAULT_LIMIT,
        max_chunks_per_document=sent.max_chunks_per_document,
        filter=_checked_filter(sent.filter) if sent.HasField("filter") else None,
        freshness=_FRESHNESS[freshness],
    )


def from_result(result: Result) -> retriever_pb2.SearchResponse:
    """What a search found."""
    return retriever_pb2.SearchResponse(
        chunks=[_from_found(found, result) for found in result.found],
        mode=_MODE_NUMBERS[result.mode],
        store_duration=duration(result.store_s),
        catalog_duration=duration(result.catalog_s),
        degraded=result.degraded,
    )


def _to_vector(sent: retriever_pb2.SearchRequest) -> Vectors | None:
    if not sent.HasField("query_vector"):
        return None
    rows = matrix(sent.query_vector, field="query_vector")
    if len(rows) != 1:
        raise InvalidArgument.of_field("query_vector.rows", f"must be 1, not {len(rows)}")
    return rows.reshape(-1)


def _checked_filter(sent: retriever_pb2.Filter) -> Filter:
    made = _to_filter(sent, "filter")
    filters.check(made, field="filter")
    return made


def _to_filter(sent: retriever_pb2.Filter, path: str) -> Filter:
    kind: str | None = sent.WhichOneof("kind")
    if kind == "comparison":
        return _to_comparison(sent.comparison, f"{path}.comparison")
    if kind == "all_of":
        return AllOf(_to_filters(sent.all_of, f"{path}.all_of"))
    if kind == "any_of":
        return AnyOf(_to_filters(sent.any_of, f"{path}.any_of"))
    if kind == "not":
        # A Python keyword, so no attribute of that name can be written.
        return Not(_to_filter(getattr(sent, "not"), f"{path}.not"))
    raise InvalidArgument.of_field(path, "must be a comparison, all_of, any_of or not")


def _to_filters(sent: retriever_pb2.FilterList, path: str) -> tuple[Filter, ...]:
    return tuple(_to_filter(each, f"{path}.filters[{i}]") for i, each in enumerate(sent.filters))


def _to_comparison(sent: retriever_pb2.Comparison, path: str) -> Comparison:
    operator = known_enum(sent.operator, retriever_pb2.ComparisonOperator, field=f"{path}.operator")
    values = tuple(
        scalar(value, field=f"{path}.values[{i}]") for i, value in enumerate(sent.values)
    )
    return Comparison(sent.field, _OPERATORS[operator], values)


def _from_found(found: Found, result: Result) -> retriever_pb2.ScoredChunk:
    return retriever_pb2.ScoredChunk(
        chunk=from_chunk(found.chunk, found.document, result.splitting),
        uri=found.document.draft.uri,
        title=found.document.draft.title,
        score=found.score,
        dense_score=found.dense_score,
        sparse_score=found.sparse_score,
    )
