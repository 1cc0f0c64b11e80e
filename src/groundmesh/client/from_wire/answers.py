"""The events of an answer."""

from groundmesh.client.answers import (
    Abstention,
    AskEvent,
    Citation,
    CitationKind,
    Coverage,
    Delta,
    Final,
    FinishReason,
    Source,
    Sources,
    Usage,
)
from groundmesh.client.from_wire.common import enum_value
from groundmesh.client.from_wire.search import mode, passage, timings_ms
from groundmesh.v1 import common_pb2, gateway_pb2, generator_pb2


def ask_event(wire: gateway_pb2.AskResponse) -> AskEvent | None:
    """One step of an answer; None for a kind that a newer server has and this client has not."""
    match wire.WhichOneof("event"):
        case "sources":
            return Sources(
                tuple(_source(each) for each in wire.sources.sources),
                standalone_question=wire.sources.standalone_question,
            )
        case "delta":
            return Delta(wire.delta.text)
        case "citation":
            return _citation(wire.citation)
        case "final":
            return _final(wire.final)
        case _:
            return None


def _source(wire: gateway_pb2.Source) -> Source:
    return Source(wire.number, passage(wire.chunk), wire.truncated)


def _citation(wire: gateway_pb2.Citation) -> Citation:
    return Citation(
        kind=enum_value(CitationKind, gateway_pb2.CitationKind.DESCRIPTOR, wire.kind),
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
        finish_reason=enum_value(
            FinishReason, generator_pb2.FinishReason.DESCRIPTOR, wire.finish_reason
        ),
        usage=_usage(wire.usage),
        timings_ms=timings_ms(wire.timings),
        removed_citations=wire.removed_citations,
        mode=mode(wire.mode),
        degraded=tuple(wire.degraded),
        abstention=_abstention(wire),
        evidence=wire.evidence if wire.HasField("evidence") else None,
        coverage=_coverage(wire.coverage),
        template=wire.template,
    )


def _abstention(wire: gateway_pb2.AnswerFinal) -> Abstention | None:
    if not wire.abstained:
        return None
    return enum_value(Abstention, gateway_pb2.Abstention.DESCRIPTOR, wire.abstention)


def _coverage(wire: gateway_pb2.CitationCoverage) -> Coverage:
    return Coverage(wire.sentences, wire.cited, wire.verbatim, wire.marker, wire.inferred)


def _usage(wire: common_pb2.TokenUsage) -> Usage:
    return Usage(wire.prompt_tokens, wire.completion_tokens, wire.cached_prompt_tokens)
