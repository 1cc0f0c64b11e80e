"""What a search found."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from groundmesh.client.from_wire.common import bare_name, enum_value, seconds
from groundmesh.client.from_wire.documents import chunk
from groundmesh.client.options import SearchMode
from groundmesh.client.values import Passage, SearchResult
from groundmesh.v1 import gateway_pb2, retriever_pb2


def search_result(wire: gateway_pb2.GatewayServiceSearchResponse) -> SearchResult:
    """What a search found."""
    return SearchResult(
        passages=tuple(passage(each) for each in wire.chunks),
        mode=mode(wire.mode),
        timings_ms=timings_ms(wire.timings),
        degraded=tuple(wire.degraded),
    )


def passage(wire: retriever_pb2.ScoredChunk) -> Passage:
    """A passage with its scores."""
    return Passage(
        chunk=chunk(wire.chunk),
        uri=wire.uri,
        title=wire.title,
        score=wire.score,
        dense_score=wire.dense_score if wire.HasField("dense_score") else None,
        sparse_score=wire.sparse_score if wire.HasField("sparse_score") else None,
        rerank_score=wire.rerank_score if wire.HasField("rerank_score") else None,
    )


def mode(number: int) -> SearchMode:
    """What passages are ranked by."""
    return enum_value(SearchMode, retriever_pb2.SearchMode.DESCRIPTOR, number)


def timings_ms(wire: Iterable[gateway_pb2.StageTiming]) -> Mapping[str, float]:
    """Milliseconds of each stage by its name in lower case."""
    names = gateway_pb2.Stage.DESCRIPTOR
    return MappingProxyType(
        {bare_name(names, each.stage).lower(): seconds(each.duration) * 1000 for each in wire}
    )
