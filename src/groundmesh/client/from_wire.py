"""From protobuf messages to the client's values."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from groundmesh.client.answers import (
    AskEvent,
    Citation,
    CitationKind,
    Delta,
    Final,
    FinishReason,
    Source,
    Sources,
    Usage,
)
from groundmesh.client.ingestion import DocumentIngested, IngestEvent, IngestProgress, Outcome
from groundmesh.client.options import SearchMode
from groundmesh.client.values import (
    Chunk,
    Collection,
    Document,
    EmbeddingModel,
    IndexSettings,
    Metadata,
    Passage,
    Place,
    Reindex,
    ReindexEvent,
    ReindexFailed,
    ReindexProgress,
    SearchResult,
    ServerStatus,
)
from groundmesh.status import from_status
from groundmesh.v1 import (
    collection_pb2,
    common_pb2,
    document_pb2,
    gateway_pb2,
    generator_pb2,
    mesh_pb2,
    retriever_pb2,
)

E = TypeVar("E", bound=StrEnum)


def ask_event(wire: gateway_pb2.AskResponse) -> AskEvent | None:
    """One step of an answer; None for a kind that a newer server has and this client has not."""
    match wire.WhichOneof("event"):
        case "sources":
            return Sources(tuple(_source(each) for each in wire.sources.sources))
        case "delta":
            return Delta(wire.delta.text)
        case "citation":
            return _citation(wire.citation)
        case "final":
            return _final(wire.final)
        case _:
            return None


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
                elapsed_s=_seconds(wire.progress.elapsed),
                chunks_per_s=wire.progress.chunks_per_second,
                bytes_per_s=wire.progress.bytes_per_second,
            )
        case _:
            return None


def search_result(wire: gateway_pb2.GatewayServiceSearchResponse) -> SearchResult:
    """What a search found."""
    return SearchResult(
        passages=tuple(_passage(each) for each in wire.chunks),
        mode=_mode(wire.mode),
        timings_ms=_timings_ms(wire.timings),
        degraded=tuple(wire.degraded),
    )


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
        created=_time(wire.create_time),
        updated=_time(wire.update_time),
        reindex=reindex(wire.reindex) if wire.HasField("reindex") else None,
    )


def reindex(wire: collection_pb2.Reindex) -> Reindex:
    """A reindex under way."""
    return Reindex(
        id=wire.reindex_id,
        built=wire.state == collection_pb2.REINDEX_STATE_BUILT,
        index=_index_settings(wire.index),
        document_count=wire.document_count,
        index_version=wire.index_version,
        began=_time(wire.begin_time),
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
                elapsed_s=_seconds(progress.elapsed),
            )
    return None


def document(wire: document_pb2.Document) -> Document:
    """A document."""
    return Document(
        name=wire.name,
        uri=wire.uri,
        title=wire.title,
        media_type=wire.media_type,
        content_sha256=wire.content_sha256,
        content_bytes=wire.content_bytes,
        text_sha256=wire.text_sha256,
        text_bytes=wire.text_bytes,
        chunk_count=wire.chunk_count,
        reader_labels=tuple(wire.reader_labels),
        metadata=_metadata(wire.metadata),
        created=_time(wire.create_time),
        updated=_time(wire.update_time),
    )


def chunk(wire: document_pb2.Chunk) -> Chunk:
    """A piece of a document."""
    return Chunk(
        id=wire.chunk_id,
        document=wire.document,
        ordinal=wire.ordinal,
        text=wire.text,
        start_byte=wire.start_byte,
        end_byte=wire.end_byte,
        place=_place(wire.place),
        tokens=wire.tokens,
    )


def server_status(wire: mesh_pb2.ServerInfo, *, address: str) -> ServerStatus:
    """A server that answered."""
    return ServerStatus(
        service=wire.service,
        address=address,
        ready=wire.ready,
        version=wire.version,
        engine=wire.engine,
        engine_version=wire.engine_version,
        models=tuple(wire.models),
        uptime_s=_seconds(wire.uptime),
        load=MappingProxyType(dict(wire.load)),
    )


def peer_status(wire: mesh_pb2.PeerInfo) -> ServerStatus:
    """A server that the gateway asked, whether it answered or not."""
    if wire.HasField("server"):
        return server_status(wire.server, address=wire.address)
    return ServerStatus(wire.service, wire.address, ready=False, error=wire.error)


def _source(wire: gateway_pb2.Source) -> Source:
    return Source(wire.number, _passage(wire.chunk), wire.truncated)


def _citation(wire: gateway_pb2.Citation) -> Citation:
    return Citation(
        kind=_enum(CitationKind, gateway_pb2.CitationKind.DESCRIPTOR, wire.kind),
        source=wire.source,
        quote=wire.quote,
        start_byte=wire.start_byte,
        end_byte=wire.end_byte,
        answer_start_byte=wire.answer_start_byte,
        answer_end_byte=wire.answer_end_byte,
        score=wire.score if wire.HasField("score") else None,
    )


def _final(wire: gateway_pb2.AnswerFinal) -> Final:
    return Final(
        abstained=wire.abstained,
        model=wire.model,
        finish_reason=_enum(
            FinishReason, generator_pb2.FinishReason.DESCRIPTOR, wire.finish_reason
        ),
        usage=_usage(wire.usage),
        timings_ms=_timings_ms(wire.timings),
        removed_citations=wire.removed_citations,
        mode=_mode(wire.mode),
        degraded=tuple(wire.degraded),
    )


def _document_ingested(wire: gateway_pb2.DocumentIngested) -> DocumentIngested:
    return DocumentIngested(
        uri=wire.uri,
        outcome=_enum(Outcome, gateway_pb2.IngestOutcome.DESCRIPTOR, wire.outcome),
        chunk_count=wire.chunk_count,
        name=wire.name,
        error=from_status(wire.error) if wire.HasField("error") else None,
    )


def _passage(wire: retriever_pb2.ScoredChunk) -> Passage:
    return Passage(
        chunk=chunk(wire.chunk),
        uri=wire.uri,
        title=wire.title,
        score=wire.score,
        dense_score=wire.dense_score if wire.HasField("dense_score") else None,
        sparse_score=wire.sparse_score if wire.HasField("sparse_score") else None,
        rerank_score=wire.rerank_score if wire.HasField("rerank_score") else None,
    )


def _place(wire: common_pb2.Place) -> Place:
    return Place(
        heading_path=tuple(wire.heading_path),
        page=wire.page if wire.HasField("page") else None,
        sheet=wire.sheet if wire.HasField("sheet") else None,
        slide=wire.slide if wire.HasField("slide") else None,
    )


def _index_settings(wire: collection_pb2.IndexConfig) -> IndexSettings:
    overlap = wire.splitting.HasField("overlap_tokens")
    return IndexSettings(
        embedding_model=wire.embedding.model,
        max_tokens=wire.splitting.max_tokens,
        overlap_tokens=wire.splitting.overlap_tokens if overlap else None,
        language=wire.analysis.language,
    )


def _usage(wire: common_pb2.TokenUsage) -> Usage:
    return Usage(wire.prompt_tokens, wire.completion_tokens, wire.cached_prompt_tokens)


def _metadata(wire: Struct) -> Metadata:
    return MappingProxyType(
        {name: value for name, value in wire.items() if isinstance(value, str | float | bool)}
    )


def _timings_ms(wire: Iterable[gateway_pb2.StageTiming]) -> Mapping[str, float]:
    names = gateway_pb2.Stage.DESCRIPTOR
    return MappingProxyType(
        {_bare_name(names, each.stage).lower(): _seconds(each.duration) * 1000 for each in wire}
    )


def _mode(number: int) -> SearchMode:
    return _enum(SearchMode, retriever_pb2.SearchMode.DESCRIPTOR, number)


def _enum(cls: type[E], descriptor: EnumDescriptor, number: int) -> E:
    """Ours of a wire enum; UNSPECIFIED for a value that a newer server has."""
    name = _bare_name(descriptor, number)
    return cls(name if name in cls.__members__ else "UNSPECIFIED")


def _bare_name(descriptor: EnumDescriptor, number: int) -> str:
    """``DENSE`` for ``SEARCH_MODE_DENSE``; a number that this client does not know, as it is."""
    if number not in descriptor.values_by_number:
        return str(number)
    prefix = descriptor.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return descriptor.values_by_number[number].name.removeprefix(prefix)


def _seconds(wire: Duration) -> float:
    return wire.ToNanoseconds() / 1e9


def _time(wire: Timestamp) -> datetime:
    return wire.ToDatetime(tzinfo=UTC)
