"""An answer for a person: the text as it is made, then what it rests on, then what it took."""

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, aclosing

from rich.console import Console
from rich.text import Text

from groundmesh.cli.output import console, counted, milliseconds_text, print_notes, printable
from groundmesh.cli.places import place_text
from groundmesh.cli.retrieval import ranking_text
from groundmesh.client import (
    Abstention,
    Answer,
    AskEvent,
    Citation,
    CitationKind,
    Delta,
    Final,
    Source,
    Sources,
)
from groundmesh.client.client import gathered

_WHY_NOT: Mapping[Abstention, str] = {
    Abstention.UNSPECIFIED: "the mesh did not say why",
    Abstention.NO_PASSAGE: "no passage was found, and the model was not asked",
    Abstention.LOW_EVIDENCE: "no passage is near to the question, and the model was not asked",
    Abstention.MODEL: "the model itself says that the passages don't answer it",
}
_LONGEST_QUOTE = 160


async def print_answer(question: str, events: AsyncGenerator[AskEvent, None]) -> Answer:
    """Write the answer as it is made, and all else at its end."""
    with ExitStack() as until_first_word:
        stderr = console(stderr=True)
        if stderr.is_terminal:
            until_first_word.enter_context(stderr.status("searching"))
        answer = await gathered(question, _written(events, until_first_word))
    out = console()
    if answer.standalone_question:
        out.print(Text(f"\nSearched for: {printable(answer.standalone_question)}"), soft_wrap=True)
    _print_sources(out, answer.sources, answer.citations)
    _print_citations(out, answer.sources, answer.citations)
    _print_final(out, answer.final, answer.sources)
    return answer


async def _written(
    events: AsyncGenerator[AskEvent, None], until_first_word: ExitStack
) -> AsyncGenerator[AskEvent, None]:
    """The events, with the text of the answer on stdout meanwhile."""
    async with aclosing(events):
        async for event in events:
            match event:
                case Delta():
                    until_first_word.close()
                    sys.stdout.write(printable(event.text))
                    sys.stdout.flush()
                case Final():
                    until_first_word.close()
                    sys.stdout.write("\n")
                case Sources() | Citation():
                    pass
            yield event


def _print_sources(out: Console, sources: Sequence[Source], citations: Sequence[Citation]) -> None:
    if not sources:
        return
    inferred = {each.source for each in citations if each.kind is CitationKind.INFERRED}
    cited = {each.source for each in citations if each.kind is not CitationKind.INFERRED}
    signs = [*(["* cited"] if cited else []), *(["~ inferred"] if inferred - cited else [])]
    out.print(f"\nSources ({', '.join(signs) or 'none is cited'})")
    for source in sources:
        number = source.number
        sign = "*" if number in cited else "~" if number in inferred else " "
        place = place_text(source.passage.uri, source.passage.chunk.place)
        style = "bold" if number in cited else ""
        out.print(Text(f"{sign}[{number}] {place}", style=style), soft_wrap=True)


def _print_citations(
    out: Console, sources: Sequence[Source], citations: Sequence[Citation]
) -> None:
    """What needs a line of its own: a marker stands in the answer, and says all there."""
    places = {
        each.number: place_text(each.passage.uri, each.passage.chunk.place) for each in sources
    }
    verbatim = [each for each in citations if each.kind is CitationKind.VERBATIM]
    inferred = [each for each in citations if each.kind is CitationKind.INFERRED]
    if verbatim:
        out.print("\nVerified quotes, word for word in their sources")
    for each in verbatim:
        where = f"{places.get(each.source, '')}, bytes {each.start_byte} to {each.end_byte}"
        out.print(Text(f" [{each.source}] {_quoted(each)} ({where})"), soft_wrap=True)
    if inferred:
        out.print("\nInferred afterwards by likeness, not verified")
    for each in inferred:
        score = "" if each.score is None else f" {each.score:.2f}"
        out.print(Text(f"~[{each.source}]{score} {_quoted(each)}"), soft_wrap=True)


def _quoted(citation: Citation) -> str:
    quote = " ".join(printable(citation.quote).split())
    cut = len(quote) > _LONGEST_QUOTE
    return f'"{quote[: _LONGEST_QUOTE - 1]}…"' if cut else f'"{quote}"'


def _print_final(out: Console, final: Final, sources: Sequence[Source]) -> None:
    if final.abstention is not None:
        out.print(Text(f"\nNot answered: {abstention_text(final)}."), soft_wrap=True)
    elif coverage := coverage_text(final):
        out.print(Text(f"\n{coverage}"), soft_wrap=True)
    stages = " · ".join(
        f"{stage.replace('_', ' ')} {milliseconds_text(took)}"
        for stage, took in final.timings_ms.items()
    )
    ranking = ranking_text(final.mode, (source.passage for source in sources))
    out.print(Text(f"\n{ranking}: {stages}", style="dim"), soft_wrap=True)
    if final.model:
        usage = final.usage
        took = f"{usage.prompt_tokens} tokens read, {usage.completion_tokens} written"
        template = f"; template {final.template}" if final.template else ""
        out.print(Text(f"{final.model}: {took}{template}", style="dim"), soft_wrap=True)
    print_notes(final.degraded)


def abstention_text(final: Final) -> str:
    """Why a question was not answered, in plain words."""
    why = _WHY_NOT[final.abstention or Abstention.UNSPECIFIED]
    if final.abstention is Abstention.LOW_EVIDENCE and final.evidence is not None:
        return f"{why} (the nearest has {final.evidence:.2f})"
    return why


def coverage_text(final: Final) -> str:
    """How much of the answer is cited, in a line; empty when the mesh did not count."""
    coverage = final.coverage
    if not coverage.sentences:
        return ""
    kinds = (
        (coverage.verbatim, "with a verified quote"),
        (coverage.marker, "by number"),
        (coverage.inferred, "inferred"),
    )
    how = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
    removed = counted(final.removed_citations, "citation")
    return (
        f"{coverage.cited} of {counted(coverage.sentences, 'sentence')} cited"
        f"{f': {how}' if how else ''}"
        f"{f'; {removed} did not check' if final.removed_citations else ''}"
    )
