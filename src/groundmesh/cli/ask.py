"""``groundmesh ask``."""

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass

from rich.text import Text

from groundmesh.cli.output import console, milliseconds_text, print_json, print_notes, printable
from groundmesh.cli.places import place_text
from groundmesh.cli.problems import Exit
from groundmesh.cli.retrieval import is_reranked, ranking_text
from groundmesh.client import (
    Answer,
    AskEvent,
    Citation,
    Client,
    Delta,
    Final,
    Retrieval,
    Sampling,
    Source,
    Sources,
)
from groundmesh.client.client import gathered


@dataclass(frozen=True)
class Question:
    """What is asked, and how."""

    text: str
    collections: Sequence[str]
    model: str
    retrieval: Retrieval
    sampling: Sampling
    timeout_s: float


async def ask(question: Question, *, server: str, as_json: bool) -> Exit:
    """Ask, and print the answer as it is made, or all of it as JSON at its end."""
    async with Client(server) as mesh:
        events = mesh.ask(
            question.text,
            collection=question.collections,
            model=question.model,
            retrieval=question.retrieval,
            sampling=question.sampling,
            timeout_s=question.timeout_s,
        )
        if as_json:
            answer = await gathered(question.text, events)
            print_json(answer_json(answer))
            print_notes(answer.final.degraded)
        else:
            await print_answer(events)
    return Exit.DONE


async def print_answer(events: AsyncGenerator[AskEvent, None]) -> None:
    """Write the answer as it is made, then its sources, then what it took."""
    sources: tuple[Source, ...] = ()
    cited: set[int] = set()
    with ExitStack() as until_first_word:
        stderr = console(stderr=True)
        if stderr.is_terminal:
            until_first_word.enter_context(stderr.status("searching"))
        async with aclosing(events):
            async for event in events:
                match event:
                    case Sources():
                        sources = event.sources
                    case Delta():
                        until_first_word.close()
                        sys.stdout.write(printable(event.text))
                        sys.stdout.flush()
                    case Citation():
                        cited.add(event.source)
                    case Final():
                        until_first_word.close()
                        sys.stdout.write("\n")
                        _print_sources(sources, cited)
                        _print_final(event, sources)


def _print_sources(sources: tuple[Source, ...], cited: set[int]) -> None:
    if not sources:
        return
    out = console()
    out.print("\nSources (cited ones are marked *)" if cited else "\nSources (none is cited)")
    for source in sources:
        mark = "*" if source.number in cited else " "
        place = place_text(source.passage.uri, source.passage.chunk.place)
        style = "bold" if source.number in cited else ""
        out.print(Text(f"{mark}[{source.number}] {place}", style=style), soft_wrap=True)


def _print_final(final: Final, sources: tuple[Source, ...]) -> None:
    out = console()
    if final.abstained:
        out.print("\nThe model was not asked: it could only have guessed.")
    stages = " · ".join(
        f"{stage.replace('_', ' ')} {milliseconds_text(took)}"
        for stage, took in final.timings_ms.items()
    )
    ranking = ranking_text(final.mode, (source.passage for source in sources))
    out.print(Text(f"\n{ranking}: {stages}", style="dim"), soft_wrap=True)
    if not final.abstained:
        usage = final.usage
        took = f"{usage.prompt_tokens} tokens read, {usage.completion_tokens} written"
        out.print(Text(f"{final.model}: {took}", style="dim"), soft_wrap=True)
    print_notes(final.degraded)


def answer_json(answer: Answer) -> dict[str, object]:
    """The one object of ``ask --json``."""
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
    }


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
