"""An answer with citations of all kinds: when each comes, what has none, and what it costs."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh import deadline
from groundmesh.errors import Unavailable
from groundmesh.quotes import BEGIN_QUOTE as B
from groundmesh.quotes import END_QUOTE as E
from groundmesh_gateway.grounding import (
    Citation,
    CitationKind,
    Coverage,
    Grounder,
    InferOptions,
    SentPassage,
    TextDelta,
)

TEXT = "Über Ormsay. The ferry leaves from pier 4. It costs 12 crowns."
PASSAGES = [SentPassage(1, TEXT, 100, 100 + len(TEXT.encode()), "d")]
LEAVES = "The ferry leaves from pier 4."


@dataclass
class FakeEmbedder:
    """Texts that share their first word are near each other."""

    calls: list[list[str]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    raises: Exception | None = None

    def __post_init__(self) -> None:
        self.open.set()

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.calls.append(list(texts))
        await self.open.wait()
        if self.raises:
            raise self.raises
        return [
            [float(text.startswith(word)) + 0.01 for word in ("Üb", "The", "It")] for text in texts
        ]


@dataclass
class Result:
    text: str
    citations: list[Citation]
    coverage: Coverage
    removed: int
    degraded: tuple[str, ...]

    @property
    def kinds(self) -> list[CitationKind]:
        return [each.kind for each in self.citations]


async def grounded(
    *pieces: str, embedder: FakeEmbedder | None = None, options: InferOptions | None = None
) -> Result:
    embedder = embedder or FakeEmbedder()
    async with Grounder(PASSAGES, embedder.embed, options or InferOptions()) as grounder:
        events = []
        for piece in pieces:
            events += grounder.feed(piece)
            await asyncio.sleep(0)
        events += grounder.end()
        events += await grounder.last_citations()
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return Result(
        text,
        [event for event in events if isinstance(event, Citation)],
        grounder.coverage,
        grounder.removed,
        grounder.degraded,
    )


async def test_sentences_without_a_citation_get_one() -> None:
    result = await grounded("[1] It costs 12 crowns. The ferry ", "leaves from pier 4. Dogs bark.")
    marker, inferred = result.citations
    assert (marker.kind, marker.quote) == (CitationKind.MARKER, TEXT)
    assert (inferred.kind, inferred.quote) == (CitationKind.INFERRED, LEAVES)
    assert TEXT.encode()[inferred.start_byte - 100 : inferred.end_byte - 100].decode() == LEAVES
    part = result.text.encode()[inferred.answer_start_byte : inferred.answer_end_byte]
    assert part.decode() == LEAVES
    assert inferred.score == pytest.approx(1)
    assert result.coverage == Coverage(sentences=3, cited=2, marker=1, inferred=1)
    assert not result.degraded


async def test_every_kind_counts_once_for_a_sentence() -> None:
    result = await grounded(f"So {B}ferry leaves{E} {B}from pier 4{E} [1]. {LEAVES}")
    assert result.kinds.count(CitationKind.VERBATIM) == 2
    assert result.coverage == Coverage(sentences=2, cited=2, verbatim=1, marker=1, inferred=1)


async def test_an_answer_that_cites_all_costs_the_embedder_nothing() -> None:
    embedder = FakeEmbedder()
    result = await grounded("[1] It costs ", "12 crowns.", embedder=embedder)
    quoted = await grounded(f"{B}{LEAVES} It ", f"costs 12 crowns.{E}", embedder=embedder)
    assert (result.coverage.cited, quoted.coverage) == (1, Coverage(2, 2, 2))
    assert not embedder.calls


async def test_passages_are_embedded_while_the_answer_is_made() -> None:
    embedder = FakeEmbedder()
    async with Grounder(PASSAGES, embedder.embed, InferOptions()) as grounder:
        grounder.feed("The")
        await asyncio.sleep(0)
        assert embedder.calls == [["Über Ormsay.", LEAVES, "It costs 12 crowns."]]
        grounder.feed(" ferry leaves from pier 4. It")
        for _ in range(5):
            await asyncio.sleep(0)
        (citation,) = grounder.feed(" is")[1:]
    assert isinstance(citation, Citation)


async def test_a_quote_that_is_not_ended_yet_is_waited_for() -> None:
    embedder = FakeEmbedder()
    async with Grounder(PASSAGES, embedder.embed, InferOptions()) as grounder:
        grounder.feed(f"{B}{LEAVES} It costs 12 kr. It is")
        await asyncio.sleep(0)
        assert not embedder.calls
        grounder.feed(f" so.{E} And")
        await asyncio.sleep(0)
        assert embedder.calls
        grounder.end()
    assert grounder.removed == 1


@pytest.mark.parametrize("answer", [LEAVES, f"{LEAVES} {LEAVES}"])
async def test_an_embedder_that_is_away_is_told(answer: str) -> None:
    result = await grounded(answer, embedder=FakeEmbedder(raises=Unavailable("gone")))
    assert result.degraded == ("no citations were inferred: gone",)
    assert result.coverage.cited == 0


async def test_one_that_is_slow_is_not_waited_for_long() -> None:
    slow = FakeEmbedder()
    slow.open.clear()
    result = await grounded(LEAVES, embedder=slow, options=InferOptions(wait_s=0.01))
    with deadline.within(0.02):
        within = await grounded(LEAVES, embedder=slow)
    said = ("not all citations were inferred: the embedder took too long",)
    assert result.degraded == within.degraded == said


async def test_a_failure_that_no_sentence_needed_is_not_told() -> None:
    embedder = FakeEmbedder(raises=Unavailable("gone"))
    result = await grounded("It costs ", "12 crowns [1].", embedder=embedder)
    assert embedder.calls
    assert not result.degraded


async def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        await grounded(LEAVES, embedder=FakeEmbedder(raises=ZeroDivisionError()))


async def test_there_is_a_bound_of_sentences() -> None:
    result = await grounded(f"{LEAVES} " * 5, options=InferOptions(most_sentences=2))
    assert (result.coverage.sentences, result.coverage.inferred) == (5, 2)
    assert "after the first 2 sentences" in result.degraded[0]


async def test_what_the_embedder_is_given_is_bounded() -> None:
    few, short = FakeEmbedder(), FakeEmbedder()
    await grounded(LEAVES, embedder=few, options=InferOptions(most_sources=1))
    await grounded(LEAVES, embedder=short, options=InferOptions(most_characters=45))
    assert few.calls[0] == ["Über Ormsay."]
    assert short.calls[0] == ["Über Ormsay.", LEAVES]


async def test_that_it_is_not_known_has_no_source() -> None:
    options = InferOptions(min_score=0.0)
    result = await grounded("The passages do not say what the ferry costs.", options=options)
    assert result.coverage == Coverage(sentences=1)
    assert not result.citations


async def test_it_can_be_turned_off() -> None:
    embedder = FakeEmbedder()
    result = await grounded(LEAVES, embedder=embedder, options=InferOptions(min_score=1.1))
    assert not embedder.calls
    assert not result.degraded


FRAGMENTS = [B, E, "[1] ", " [9]", "It costs 12 crowns", "The ferry", ". ", "\n\n", "Ü", " "]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=15).map("".join), st.integers(1, 7))
def test_pieces_make_no_difference(answer: str, size: int) -> None:
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    options = InferOptions(min_score=0.0)
    whole, cut = (asyncio.run(grounded(*each, options=options)) for each in ([answer], pieces))
    assert (cut.text, cut.removed, cut.coverage) == (whole.text, whole.removed, whole.coverage)
    assert sorted(map(repr, cut.citations)) == sorted(map(repr, whole.citations))
    assert cut.coverage.cited == cut.coverage.sentences


async def test_who_leaves_takes_the_task_along() -> None:
    slow = FakeEmbedder()
    slow.open.clear()
    with suppress(RuntimeError):
        async with Grounder(PASSAGES, slow.embed, InferOptions()) as grounder:
            grounder.feed(LEAVES)
            await asyncio.sleep(0)
            raise RuntimeError
    assert len(asyncio.all_tasks()) == 1
