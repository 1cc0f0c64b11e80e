"""Messages of a fake gateway."""

from hashlib import sha256

from google.protobuf.duration_pb2 import Duration

from groundmesh.names import document_id
from groundmesh.v1 import (
    common_pb2,
    document_pb2,
    gateway_pb2,
    generator_pb2,
    retriever_pb2,
)

TEXT = "The notice period is three months. Grüße."


def document(name: str, head: gateway_pb2.IngestDocument, content: bytes) -> document_pb2.Document:
    made = document_pb2.Document(
        name=name,
        uri=head.uri,
        title=head.title or head.uri.rpartition("/")[2],
        media_type=head.media_type or "text/plain",
        content_sha256=sha256(content).hexdigest(),
        content_bytes=len(content),
        text_bytes=len(content),
        chunk_count=1,
        reader_labels=head.reader_labels,
        metadata=head.metadata,
    )
    made.create_time.FromSeconds(1_700_000_000)
    made.update_time.FromSeconds(1_700_000_060)
    return made


def scored_chunk(uri: str = "file:///docs/contract.pdf") -> retriever_pb2.ScoredChunk:
    return retriever_pb2.ScoredChunk(
        chunk=document_pb2.Chunk(
            chunk_id="c1",
            document="tenants/default/collections/docs/documents/" + document_id(uri),
            text=TEXT,
            start_byte=100,
            end_byte=100 + len(TEXT.encode()),
            place=common_pb2.Place(heading_path=["Terms", "Notice"], page=3),
            tokens=11,
        ),
        uri=uri,
        title="Contract",
        score=0.5,
        dense_score=0.25,
    )


def citation() -> gateway_pb2.Citation:
    return gateway_pb2.Citation(
        kind=gateway_pb2.CITATION_KIND_MARKER,
        source=1,
        quote="three months",
        start_byte=121,
        end_byte=133,
        answer_start_byte=0,
        answer_end_byte=17,
    )


def final() -> gateway_pb2.AnswerFinal:
    return gateway_pb2.AnswerFinal(
        model="fake-model",
        finish_reason=generator_pb2.FINISH_REASON_STOP,
        usage=common_pb2.TokenUsage(prompt_tokens=50, completion_tokens=5),
        timings=[timing(gateway_pb2.STAGE_EMBED, 8), timing(gateway_pb2.STAGE_TOTAL, 1900)],
        mode=retriever_pb2.SEARCH_MODE_HYBRID,
        evidence=0.75,
        coverage=gateway_pb2.CitationCoverage(sentences=2, cited=1, marker=1),
        template="default@1",
    )


def abstained(why: gateway_pb2.Abstention.ValueType) -> gateway_pb2.AnswerFinal:
    ended = final()
    ended.abstained = True
    ended.abstention = why
    ended.ClearField("coverage")
    if why != gateway_pb2.ABSTENTION_MODEL:
        for unasked in ("model", "usage", "template", "finish_reason"):
            ended.ClearField(unasked)
    return ended


def timing(stage: gateway_pb2.Stage.ValueType, milliseconds: int) -> gateway_pb2.StageTiming:
    duration = Duration()
    duration.FromMilliseconds(milliseconds)
    return gateway_pb2.StageTiming(stage=stage, duration=duration)
