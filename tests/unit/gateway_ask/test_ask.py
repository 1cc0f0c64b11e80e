"""The way of a question, on fakes in memory."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from groundmesh.errors import InvalidArgument, MeshError, Unavailable
from groundmesh.prompting import QUOTES, ChatTokens, Message, Passage, PassageOrder, Reserved
from groundmesh_gateway.abstaining import Abstention, said_instead
from groundmesh_gateway.ask import (
    Answered,
    Ask,
    AskOptions,
    SourcesChosen,
)
from groundmesh_gateway.ask_ports import Done, ModelTokens, Piece, Started
from groundmesh_gateway.finding import Embedded, Found, FoundPassage, Wish
from groundmesh_gateway.grounding import Citation, Coverage, TextDelta
from groundmesh_gateway.stages import Stage


def passage(
    text: str = "So it is.", *, cosine: float | None = 0.5, collection: str = "c"
) -> FoundPassage:
    end, document = 10 + len(text.encode()), f"{collection}/documents/d"
    return FoundPassage(Passage("Guide", "", text), document, 0, 10, end, 0.5, cosine, chunks=(0,))


@dataclass
class FakeMesh:
    """Embeds, finds and says what a test sets."""

    found: list[FoundPassage] = field(default_factory=lambda: [passage(), passage()])
    pieces: list[Any] = field(
        default_factory=lambda: [
            Started("m"),
            Piece("It is so "),
            Piece("[2"),
            Piece("]."),
            Done(7),
        ]
    )
    wish: Wish = field(default_factory=lambda: Wish(limit=5))
    wants_vector: bool = True
    truncated: bool = False
    window: int = 4000
    least: Mapping[str, float] = field(default_factory=dict)
    messages: Sequence[Message] = ()
    max_tokens: int = 0
    stops: Sequence[str] = ()
    is_closed: bool = False
    standalone: str | MeshError = ""
    """What it makes of a question in a conversation."""
    searched: str = ""
    rewritten: Sequence[Message] = ()

    def find_for(self, text: str) -> None:
        self.searched = text

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> str:
        assert max_tokens < 100
        assert list(stops) == ["\n"]
        self.rewritten = messages
        if isinstance(self.standalone, MeshError):
            raise self.standalone
        return self.standalone

    embedded: list[list[str]] = field(default_factory=list)

    async def embed(self) -> Embedded[str]:
        return Embedded("vector", truncated=self.truncated)

    async def embed_texts(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.embedded.append(list(texts))
        return [[1.0, 0.0] for _ in texts]

    async def search(self, vector: str | None, *, depth: int) -> Found:
        assert depth == self.wish.limit
        assert vector == ("vector" if self.wants_vector else None)
        return Found(self.found)

    async def rerank(self, texts: Sequence[str]) -> Sequence[float]:
        raise AssertionError("it was not asked for")

    async def read(self, document: str, start_byte: int, end_byte: int) -> bytes:
        raise AssertionError("it was not asked for")

    async def least_evidence(self) -> Mapping[str, float]:
        return self.least

    async def model_tokens(self) -> ModelTokens:
        return ModelTokens(
            "m", self.window, 1000, ChatTokens(), lambda text: len(text.split()), Reserved()
        )

    async def generate(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> AsyncGenerator[Started | Piece | Done[int], None]:
        self.messages, self.max_tokens, self.stops = messages, max_tokens, stops
        try:
            for piece in self.pieces:
                await asyncio.sleep(0)
                yield piece
        finally:
            self.is_closed = True


async def answered(
    mesh: FakeMesh, *, max_tokens: int | None = None, **options: Any
) -> tuple[list[Any], Answered[int]]:
    ask = Ask("Why?", mesh, AskOptions(**options), max_tokens=max_tokens)
    *events, last = [event async for event in ask.answer()]
    assert isinstance(last, Answered)
    return events, last


async def test_the_way_of_a_question() -> None:
    mesh = FakeMesh()
    events, last = await answered(mesh)
    assert isinstance(events[0], SourcesChosen)
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "It is so [2]."
    (citation,) = [event for event in events if isinstance(event, Citation)]
    assert (citation.passage.number, citation.passage.start_byte) == (2, 10)
    assert (citation.answer_start_byte, citation.answer_end_byte) == (0, 8)
    assert (last.model, last.finish, last.abstention, last.evidence) == ("m", 7, None, 0.5)
    assert last.coverage == Coverage(sentences=1, cited=1, marker=1)
    assert list(last.seconds) == [
        Stage.EMBED,
        Stage.SEARCH,
        Stage.PROMPT,
        Stage.FIRST_TOKEN,
        Stage.GENERATE,
        Stage.CITE,
        Stage.TOTAL,
    ]
    assert "Question: Why?" in mesh.messages[-1].content
    assert "\n\nPassage 3:" in mesh.stops
    assert mesh.is_closed


@pytest.mark.parametrize(
    ("cosines", "least", "min_score", "why"),
    [
        ([], {}, 0.0, Abstention.NO_PASSAGE),
        ([0.1, 0.3], {}, 0.2, None),
        ([0.1, 0.1], {}, 0.2, Abstention.LOW_EVIDENCE),
        ([-0.1], {}, 0.0, None),  # no bound is set
        ([None, 0.1], {}, 0.2, Abstention.LOW_EVIDENCE),
        ([None, None], {"c": 0.9}, 0.2, None),  # a sparse search has no nearness
        ([0.3], {"c": 0.4}, 0.2, Abstention.LOW_EVIDENCE),  # its own bound holds
        ([0.3], {"c": 0.3}, 0.4, None),
        ([-0.1], {"c": 0.0}, 0.0, Abstention.LOW_EVIDENCE),  # a bound of 0 is one
        ([0.3], {"other": 0.4}, 0.0, None),
    ],
)
async def test_when_it_abstains(
    cosines: list[float | None],
    least: dict[str, float],
    min_score: float,
    why: Abstention | None,
) -> None:
    mesh = FakeMesh(found=[passage(cosine=cosine) for cosine in cosines], least=least)
    events, last = await answered(mesh, min_score=min_score)
    assert last.abstention is why
    assert last.evidence == max((each for each in cosines if each is not None), default=None)
    assert bool(mesh.messages) == (why is None)
    if why is not None:
        assert TextDelta(said_instead(why)) in events


@pytest.mark.parametrize(
    ("near", "far", "why"),
    [(0.5, 0.3, None), (0.3, 0.5, None), (0.3, 0.3, Abstention.LOW_EVIDENCE)],
)
async def test_of_several_collections_one_with_evidence_is_enough(
    near: float, far: float, why: Abstention | None
) -> None:
    found = [passage(cosine=near), passage(cosine=far, collection="other")]
    _, last = await answered(FakeMesh(found=found, least={"c": 0.4, "other": 0.45}))
    assert last.abstention is why


async def test_what_fell_behind_the_limit_is_evidence_too() -> None:
    found = [passage(cosine=0.1), passage(cosine=0.6)]
    _, last = await answered(FakeMesh(found=found, wish=Wish(limit=1), least={"c": 0.5}))
    assert (last.abstention, last.evidence) == (None, 0.6)


async def test_a_model_that_declines_is_believed_and_its_words_stay() -> None:
    said = [Started("m"), Piece("The passages do "), Piece("not say so [1"), Piece("]."), Done(7)]
    events, last = await answered(FakeMesh(pieces=said))
    assert (last.abstention, last.model) == (Abstention.MODEL, "m")
    text = "".join(each.text for each in events if isinstance(each, TextDelta))
    assert text == "The passages do not say so [1]."


async def test_a_search_without_a_vector_embeds_nothing() -> None:
    _, last = await answered(FakeMesh(wants_vector=False))
    assert Stage.EMBED not in last.seconds


async def test_a_question_that_was_cut_is_told() -> None:
    _, last = await answered(FakeMesh(truncated=True))
    assert "only its beginning" in last.degraded[0]


@pytest.mark.parametrize(
    ("asked", "window", "given"), [(None, 4000, 300), (None, 800, 200), (50, 4000, 50)]
)
async def test_how_long_an_answer_may_be(asked: int | None, window: int, given: int) -> None:
    mesh = FakeMesh(window=window)
    await answered(mesh, max_tokens=asked, answer_tokens=300)
    assert mesh.max_tokens == given


async def test_a_quote_of_several_passages_is_from_the_best_wherever_it_stands() -> None:
    found = [passage("It was so in May."), passage("Yes. It was so in May.")]
    quoted = Piece("##begin_quote##It was so in May.##end_quote##")
    mesh = FakeMesh(found=found, pieces=[Started("m"), quoted, Done(7)])
    template = replace(QUOTES, order=PassageOrder.BEST_LAST)
    events = [each async for each in Ask("Why?", mesh, AskOptions(), template=template).answer()]
    (citation,) = [event for event in events if isinstance(event, Citation)]
    assert (citation.passage.number, citation.passage.text) == (2, "It was so in May.")


async def test_no_room_for_a_passage_is_an_error_of_the_question() -> None:
    with pytest.raises(InvalidArgument) as refused:
        await answered(FakeMesh(window=60))
    assert refused.value.fields[0].field == "question"


async def test_an_answer_without_an_end_is_no_answer() -> None:
    with pytest.raises(Unavailable, match="without saying why"):
        await answered(FakeMesh(pieces=[Started("m"), Piece("It is")]))


async def test_who_leaves_early_closes_the_generation() -> None:
    mesh = FakeMesh()
    async with aclosing(Ask("Why?", mesh, AskOptions()).answer()) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert mesh.is_closed


async def test_long_texts_are_counted_off_the_loop() -> None:
    long = " ".join(f"Sentence {number}." for number in range(5000))
    mesh = FakeMesh(found=[passage(long)])
    events, _ = await answered(mesh)
    ((_, packed),) = events[0].passages
    assert packed.truncated
