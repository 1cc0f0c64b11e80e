"""An answer as one JSON object: ``ask --json``, and each line of ``ask --file``."""

from groundmesh.cli.retrieval import is_reranked
from groundmesh.client import Answer, Citation, Source
from groundmesh.errors import MeshError


def answer_json(answer: Answer) -> dict[str, object]:
    """All of an answer."""
    final = answer.final
    return {
        "question": answer.question,
        "answer": answer.text,
        "abstained": final.abstained,
        "model": final.model,
        "sources": [_source_json(source) for source in answer.sources],
        "citations": [_citation_json(citation) for citation in answer.citations],
        "usage": vars(final.usage),
        "timings_ms": dict(final.timings_ms),
        "mode": final.mode,
        "reranked": is_reranked(source.passage for source in answer.sources),
        "degraded": list(final.degraded),
        "abstention": final.abstention,
        "evidence": final.evidence,
        "coverage": vars(final.coverage),
        "removed_citations": final.removed_citations,
        "template": final.template,
        "standalone_question": answer.standalone_question or None,
    }


def failure_json(question: str, error: MeshError) -> dict[str, object]:
    """A question that got no answer, and why."""
    why = {"code": error.code.name, "reason": error.reason, "message": error.message}
    return {"question": question, "error": why}


def _source_json(source: Source) -> dict[str, object]:
    passage = source.passage
    return {
        "n": source.number,
        "uri": passage.uri,
        "title": passage.title,
        "place": str(passage.chunk.place),
        "score": passage.score,
        "text": passage.chunk.text,
    }


def _citation_json(citation: Citation) -> dict[str, object]:
    return {
        "kind": citation.kind,
        "source": citation.source,
        "quote": citation.quote,
        "start": citation.start_byte,
        "end": citation.end_byte,
        "answer_start": citation.answer_start_byte,
        "answer_end": citation.answer_end_byte,
        "score": citation.score,
    }
