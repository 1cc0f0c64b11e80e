"""``groundmesh search``."""

import textwrap
from collections.abc import Sequence

from rich.text import Text

from groundmesh.cli.output import (
    console,
    counted,
    milliseconds_text,
    print_json,
    print_notes,
    printable,
)
from groundmesh.cli.places import place_text
from groundmesh.cli.problems import Exit
from groundmesh.cli.retrieval import is_reranked, ranking_text
from groundmesh.client import Client, Passage, Retrieval, SearchResult

EXCERPT_CHARACTERS = 300


async def search(
    query: str,
    *,
    server: str,
    collections: Sequence[str],
    retrieval: Retrieval,
    timeout_s: float,
    as_json: bool,
) -> Exit:
    """Search, and print what was found, best first."""
    async with Client(server) as mesh:
        result = await mesh.search(
            query, collection=collections, retrieval=retrieval, timeout_s=timeout_s
        )
    if as_json:
        print_json(_result_json(query, result))
    else:
        _print_result(result)
    print_notes(result.degraded)
    return Exit.DONE


def _print_result(result: SearchResult) -> None:
    out = console()
    for number, passage in enumerate(result.passages, start=1):
        place = place_text(passage.uri, passage.chunk.place)
        out.print(Text(f"{number}. {place}  ({passage.score:.4f})", style="bold"), soft_wrap=True)
        excerpt = " ".join(printable(passage.chunk.text).split())
        out.print(textwrap.shorten(excerpt, EXCERPT_CHARACTERS, placeholder=" …"))
    if not result.passages:
        out.print("Nothing was found.")
    total = result.timings_ms.get("total")
    took = f" in {milliseconds_text(total)}" if total is not None else ""
    count = counted(len(result.passages), "passage")
    summary = f"{count}, {ranking_text(result.mode, result.passages)}{took}"
    out.print(Text(summary, style="dim"))


def _result_json(query: str, result: SearchResult) -> dict[str, object]:
    passages = enumerate(result.passages, start=1)
    return {
        "query": query,
        "mode": result.mode,
        "passages": [_passage_json(number, passage) for number, passage in passages],
        "timings_ms": dict(result.timings_ms),
        "reranked": is_reranked(result.passages),
        "degraded": list(result.degraded),
    }


def _passage_json(number: int, passage: Passage) -> dict[str, object]:
    chunk = passage.chunk
    return {
        "n": number,
        "uri": passage.uri,
        "title": passage.title,
        "place": str(chunk.place),
        "score": passage.score,
        "dense_score": passage.dense_score,
        "sparse_score": passage.sparse_score,
        "rerank_score": passage.rerank_score,
        "text": chunk.text,
        "document": chunk.document,
        "start": chunk.start_byte,
        "end": chunk.end_byte,
    }
