"""Answers and what was found, as they travel."""

from collections.abc import Mapping

from google.protobuf.duration_pb2 import Duration

from groundmesh.v1 import gateway_pb2, generator_pb2, retriever_pb2
from groundmesh_gateway.abstaining import Abstention
from groundmesh_gateway.ask import Answered, AskEvent, SourcesChosen
from groundmesh_gateway.find_wire import scored_chunk
from groundmesh_gateway.grounding import Citation, CitationKind, Coverage, TextDelta
from groundmesh_gateway.stages import Stage

_STAGES = {
    Stage.REWRITE: gateway_pb2.STAGE_REWRITE,
    Stage.EMBED: gateway_pb2.STAGE_EMBED,
    Stage.SEARCH: gateway_pb2.STAGE_SEARCH,
    Stage.RERANK: gateway_pb2.STAGE_RERANK,
    Stage.PROMPT: gateway_pb2.STAGE_PROMPT,
    Stage.FIRST_TOKEN: gateway_pb2.STAGE_FIRST_TOKEN,
    Stage.GENERATE: gateway_pb2.STAGE_GENERATE,
    Stage.CITE: gateway_pb2.STAGE_CITE,
    Stage.TOTAL: gateway_pb2.STAGE_TOTAL,
}

_KINDS = {
    CitationKind.VERBATIM: gateway_pb2.CITATION_KIND_VERBATIM,
    CitationKind.MARKER: gateway_pb2.CITATION_KIND_MARKER,
    CitationKind.INFERRED: gateway_pb2.CITATION_KIND_INFERRED,
}

_ABSTENTIONS = {
    None: gateway_pb2.ABSTENTION_UNSPECIFIED,
    Abstention.NO_PASSAGE: gateway_pb2.ABSTENTION_NO_PASSAGE,
    Abstention.LOW_EVIDENCE: gateway_pb2.ABSTENTION_LOW_EVIDENCE,
    Abstention.MODEL: gateway_pb2.ABSTENTION_MODEL,
}


def timings(seconds: Mapping[Stage, float]) -> list[gateway_pb2.StageTiming]:
    """How long each stage took."""
    measured: list[gateway_pb2.StageTiming] = []
    for stage, took in seconds.items():
        duration = Duration()
        duration.FromNanoseconds(round(took * 1e9))
        measured.append(gateway_pb2.StageTiming(stage=_STAGES[stage], duration=duration))
    return measured


def to_response(
    event: AskEvent[generator_pb2.GenerationFinal], found: retriever_pb2.SearchResponse
) -> gateway_pb2.AskResponse:
    """One step of an answer; ``found`` is what the retriever gave."""
    match event:
        case SourcesChosen():
            return gateway_pb2.AskResponse(sources=_sources(event, found))
        case TextDelta():
            return gateway_pb2.AskResponse(delta=gateway_pb2.AnswerDelta(text=event.text))
        case Citation():
            return gateway_pb2.AskResponse(citation=_citation(event))
        case Answered():
            return gateway_pb2.AskResponse(final=_final(event, found))


def _sources(event: SourcesChosen, found: retriever_pb2.SearchResponse) -> gateway_pb2.Sources:
    return gateway_pb2.Sources(
        sources=[
            gateway_pb2.Source(
                number=packed.number,
                chunk=scored_chunk(passage, found),
                truncated=packed.truncated,
            )
            for passage, packed in event.passages
        ],
        standalone_question=event.standalone_question,
    )


def _citation(event: Citation) -> gateway_pb2.Citation:
    return gateway_pb2.Citation(
        kind=_KINDS[event.kind],
        source=event.passage.number,
        quote=event.quote,
        start_byte=event.start_byte,
        end_byte=event.end_byte,
        answer_start_byte=event.answer_start_byte,
        answer_end_byte=event.answer_end_byte,
        score=event.score,
    )


def _coverage(coverage: Coverage) -> gateway_pb2.CitationCoverage:
    return gateway_pb2.CitationCoverage(
        sentences=coverage.sentences,
        cited=coverage.cited,
        verbatim=coverage.verbatim,
        marker=coverage.marker,
        inferred=coverage.inferred,
    )


def _final(
    event: Answered[generator_pb2.GenerationFinal], found: retriever_pb2.SearchResponse
) -> gateway_pb2.AnswerFinal:
    finish = event.finish or generator_pb2.GenerationFinal()
    return gateway_pb2.AnswerFinal(
        abstained=event.abstention is not None,
        model=event.model,
        finish_reason=finish.finish_reason,
        usage=finish.usage,
        timings=timings(event.seconds),
        removed_citations=event.removed_citations,
        mode=found.mode,
        degraded=event.degraded,
        template=event.template,
        coverage=None if event.coverage is None else _coverage(event.coverage),
        abstention=_ABSTENTIONS[event.abstention],
        evidence=event.evidence,
    )
