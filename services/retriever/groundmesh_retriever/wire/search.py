"""Searches as they travel."""

import math
from collections.abc import Sequence

import numpy as np

from groundmesh.errors import InvalidArgument
from groundmesh.names import CollectionName
from groundmesh.server.checks import in_range, known_enum, max_bytes, require_name
from groundmesh.v1 import common_pb2, retriever_pb2
from groundmesh_retriever import filters
from groundmesh_retriever.filters import AllOf, AnyOf, Comparison, Filter, NoneOf, Operator
from groundmesh_retriever.fusion import EVEN, RRF_K, ByRanks, ByScores, Fusion
from groundmesh_retriever.parts import ModelRef
from groundmesh_retriever.query import Found, Mode, Query, Result
from groundmesh_retriever.search import MAX_COLLECTIONS
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
_FRESHNESS_NUMBERS = {freshness: number for number, freshness in _FRESHNESS.items()}
_MAX_RRF_CONSTANT = 1_000
_OPERATORS = {
    retriever_pb2.COMPARISON_OPERATOR_EQUAL: Operator.EQUAL,
    retriever_pb2.COMPARISON_OPERATOR_NOT_EQUAL: Operator.NOT_EQUAL,
    retriever_pb2.COMPARISON_OPERATOR_LESS: Operator.LESS,
    retriever_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL: Operator.LESS_OR_EQUAL,
    retriever_pb2.COMPARISON_OPERATOR_GREATER: Operator.GREATER,
    retriever_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL: Operator.GREATER_OR_EQUAL,
    retriever_pb2.COMPARISON_OPERATOR_IN: Operator.IN,
}


def to_names(sent: retriever_pb2.SearchRequest) -> list[CollectionName]:
    """The collections to search, of the caller's tenant, each named once."""
    if not 1 <= len(sent.collections) <= MAX_COLLECTIONS:
        raise InvalidArgument.of_field("collections", f"1 to {MAX_COLLECTIONS} collections")
    names: dict[CollectionName, None] = {}
    for i, text in enumerate(sent.collections):
        name = require_name(text, CollectionName, field=f"collections[{i}]")
        if name in names:
            raise InvalidArgument.of_field(f"collections[{i}]", "is named twice")
        names[name] = None
    return list(names)


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
        fusion=_to_fusion(sent.fusion),
        with_vectors=sent.with_vectors,
    )


def from_result(result: Result) -> retriever_pb2.SearchResponse:
    """What a search found."""
    waited_s = result.waited_s
    return retriever_pb2.SearchResponse(
        chunks=map(_from_found, result.found),
        mode=_MODE_NUMBERS[result.mode],
        store_duration=duration(result.store.seconds),
        catalog_duration=duration(result.catalog.seconds),
        degraded=result.degraded,
        vectors=_from_vectors(result.found),
        consistency=_FRESHNESS_NUMBERS[result.freshness],
        consistency_duration=None if waited_s is None else duration(waited_s),
    )


def _to_vector(sent: retriever_pb2.SearchRequest) -> Vectors | None:
    if not sent.HasField("query_vector"):
        return None
    rows = matrix(sent.query_vector, field="query_vector")
    if len(rows) != 1:
        raise InvalidArgument.of_field("query_vector.rows", f"must be 1, not {len(rows)}")
    return rows.reshape(-1)


def _to_fusion(sent: retriever_pb2.Fusion) -> Fusion:
    if sent.WhichOneof("kind") == "weights":
        weight = sent.weights.dense_weight
        if not (math.isfinite(weight) and 0 <= weight <= 1):
            raise InvalidArgument.of_field("fusion.weights.dense_weight", "must be 0 to 1")
        return ByScores(weight)
    if sent.WhichOneof("kind") is None:
        return EVEN
    constant = sent.ranks.constant
    in_range(constant, field="fusion.ranks.constant", low=0, high=_MAX_RRF_CONSTANT)
    return ByRanks(constant or RRF_K)


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
    if kind == "none_of":
        return NoneOf(_to_filters(sent.none_of, f"{path}.none_of"))
    raise InvalidArgument.of_field(path, "must be a comparison, all_of, any_of or none_of")


def _to_filters(sent: retriever_pb2.FilterList, path: str) -> tuple[Filter, ...]:
    return tuple(_to_filter(each, f"{path}.filters[{i}]") for i, each in enumerate(sent.filters))


def _to_comparison(sent: retriever_pb2.Comparison, path: str) -> Comparison:
    operator = known_enum(sent.operator, retriever_pb2.ComparisonOperator, field=f"{path}.operator")
    values = tuple(
        scalar(value, field=f"{path}.values[{i}]") for i, value in enumerate(sent.values)
    )
    return Comparison(sent.field, _OPERATORS[operator], values)


def _from_found(found: Found) -> retriever_pb2.ScoredChunk:
    return retriever_pb2.ScoredChunk(
        chunk=from_chunk(found.chunk, found.document, found.splitting),
        uri=found.document.uri,
        title=found.document.title,
        score=found.score,
        dense_score=found.dense_score,
        sparse_score=found.sparse_score,
    )


def _from_vectors(found: Sequence[Found]) -> common_pb2.Vectors | None:
    rows = [each.vector for each in found if each.vector is not None]
    if not rows:
        return None
    return common_pb2.Vectors(
        data=np.stack(rows).astype("<f4").tobytes(),
        rows=len(rows),
        dimension=len(rows[0]),
        dtype=common_pb2.VECTOR_DTYPE_F32,
    )
