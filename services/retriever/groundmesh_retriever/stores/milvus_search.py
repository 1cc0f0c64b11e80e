"""Searches in Milvus's own messages.

pymilvus's client spends more on a search, beside the call itself, than all that the retriever adds
to it: options for every kind of search, interceptors, hits made as objects to be made chunks of. A
contract test holds these requests to those that it would send.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any

from pymilvus.client.ts_utils import construct_guarantee_ts
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from groundmesh_retriever.stores import milvus_schema as layout
from groundmesh_retriever.stores.base import Ask, Freshness, Hit, StoredChunk
from groundmesh_retriever.stores.milvus_filter import scope_expression

CONSISTENCY = {
    Freshness.BOUNDED: "Bounded",
    Freshness.SESSION: "Session",
    Freshness.STRONG: "Strong",
}
"""Milvus's names."""


@dataclass(frozen=True)
class Home:
    """Where an index is, as pymilvus keeps count of what was written to it."""

    address: str
    database: str
    index: str


@dataclass(frozen=True)
class Kind:
    """All of a search but its query: searches of one kind can be asked in one request."""

    home: Home
    field: str
    metric: str
    scope: str
    limit: int
    freshness: Freshness
    with_chunks: bool


def kind_of(home: Home, field: str, ask: Ask) -> Kind:
    """The kind of a search of a field."""
    metric = "BM25" if field == layout.SPARSE_FIELD else "COSINE"
    scope = scope_expression(ask.scope)
    return Kind(home, field, metric, scope, ask.limit, ask.freshness, ask.with_chunks)


def request(kind: Kind, queries: Sequence[bytes]) -> milvus_pb2.SearchRequest:
    """Ask for what is nearest to each of these vectors, or matches each of these terms best."""
    sparse = kind.field == layout.SPARSE_FIELD
    types = common_pb2.PlaceholderType
    value = common_pb2.PlaceholderValue(
        tag="$0", type=types.VarChar if sparse else types.FloatVector, values=queries
    )
    fresh: dict[str, Any] = {"consistency_level": CONSISTENCY[kind.freshness]}
    # The last write that this process made to the index; fills in the rest of ``fresh``.
    construct_guarantee_ts(kind.home.index, fresh, kind.home.address, kind.home.database)
    parameters = {
        "topk": str(kind.limit),
        "round_decimal": "-1",
        "ignore_growing": "False",
        "metric_type": kind.metric,
        "anns_field": kind.field,
        "params": json.dumps({"metric_type": kind.metric}, separators=(",", ":")),
    }
    return milvus_pb2.SearchRequest(
        collection_name=kind.home.index,
        dsl=kind.scope,
        dsl_type=common_pb2.DslType.BoolExprV1,
        placeholder_group=common_pb2.PlaceholderGroup(placeholders=[value]).SerializeToString(),
        output_fields=layout.OUTPUT_FIELDS if kind.with_chunks else layout.KEY_FIELDS,
        search_params=[
            common_pb2.KeyValuePair(key=key, value=value) for key, value in parameters.items()
        ],
        nq=len(queries),
        **fresh,
    )


def hits(kind: Kind, found: schema_pb2.SearchResultData) -> list[list[Hit]]:
    """What came for each query, best first; a larger score is better.

    Milvus's COSINE is larger for what is nearer. Its BM25 scores are positive, Milvus Lite's are
    their negatives.
    """
    keys, scores = found.ids.str_id.data, found.scores
    if kind.field == layout.SPARSE_FIELD:
        scores = list(map(abs, scores))
    stored: Iterable[StoredChunk | None] = repeat(None)
    if kind.with_chunks:
        entities = zip(keys, _entities(found.fields_data), strict=True)
        stored = (layout.stored_chunk({**entity, "key": key}) for key, entity in entities)
    all_hits = iter([Hit(*each) for each in zip(keys, scores, stored, strict=False)])
    return [list(islice(all_hits, count)) for count in found.topks]


def _entities(columns: Sequence[schema_pb2.FieldData]) -> Iterator[dict[str, Any]]:
    names = [column.field_name for column in columns]
    for row in zip(*map(_values, columns), strict=True):
        yield dict(zip(names, row, strict=True))


def _values(column: schema_pb2.FieldData) -> Sequence[Any]:
    kind = column.scalars.WhichOneof("data")
    values: Sequence[Any] = getattr(column.scalars, kind).data
    return [json.loads(value) for value in values] if kind == "json_data" else values
