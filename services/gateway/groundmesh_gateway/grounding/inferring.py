"""Citations for the sentences of an answer that have none, found beside its generation."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from groundmesh import deadline
from groundmesh.errors import Internal, MeshError, Reason
from groundmesh_gateway.finding.model import Vector
from groundmesh_gateway.grounding.alignment import Aligner, SourceSentence, source_sentences
from groundmesh_gateway.grounding.answer_sentences import Sentence
from groundmesh_gateway.grounding.model import Citation, CitationKind, SentPassage, of_part

EmbedTexts = Callable[[Sequence[str]], Awaitable[Sequence[Vector]]]
"""The vectors of pieces of text, all by the same model."""

_WHY = {
    Reason.OVERLOADED: "the embedder has too much to do",
    Reason.DEADLINE_PASSED: "the embedder took too long",
}


@dataclass(frozen=True)
class InferOptions:
    """How citations are inferred."""

    min_score: float = 0.45
    """Of sentence and source, 0 to 1; over 1 none is inferred."""
    most_sources: int = 256
    """Sentences of the passages, those of the best first, that are looked at,"""
    most_characters: int = 50_000
    """with so many characters in all,"""
    most_sentences: int = 64
    """and sentences of the answer."""
    wait_s: float = 2.0
    """How long the end of an answer waits for them at most,"""
    wait_share: float = 0.5
    """and what share of the time that the call has left."""


class Inferrer:
    """Aligns sentences to passages in a task of its own, which ends with the block.

    Nothing is embedded before ``prepare``: an answer that cites by itself costs the embedder
    nothing. Sentences are embedded one after the other, so that the same answer has the same
    scores each time: what runs in one batch changes their last digits.
    """

    def __init__(
        self, passages: Sequence[SentPassage], embed: EmbedTexts, options: InferOptions
    ) -> None:
        """``passages`` are those that were sent."""
        self._passages = passages
        self._embed = embed
        self._options = options
        self._sentences = asyncio.Queue[Sentence | None](options.most_sentences + 1)
        self._task: asyncio.Task[None] | None = None
        self._asked = 0
        self._known: list[Citation] = []
        self.degraded: tuple[str, ...] = ()
        """Why sentences were not looked at, once ``finish`` is over."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.exception()  # seen: it was said, or something else has failed

    @property
    def is_prepared(self) -> bool:
        """Whether the passages are being read, or nothing is to be inferred at all."""
        return self._task is not None or self._options.min_score > 1

    def prepare(self) -> None:
        """A sentence is coming that may need a citation: begin with the passages."""
        if not self.is_prepared:
            self._task = asyncio.create_task(self._align_all())

    def ask(self, sentence: Sentence) -> None:
        """Find the source of a sentence."""
        self.prepare()
        self._asked += 1
        if self._asked <= self._options.most_sentences:
            self._sentences.put_nowait(sentence)

    def known(self) -> list[Citation]:
        """What became known since it was asked for last."""
        known, self._known = self._known, []
        return known

    async def finish(self) -> None:
        """No more sentences: wait for those there are, but not for long."""
        if self._task is None or not self._asked:
            return
        self._sentences.put_nowait(None)
        left = deadline.remaining()
        limit = self._options.wait_s
        if left is not None:
            limit = min(limit, left * self._options.wait_share)
        await asyncio.wait([self._task], timeout=limit)
        self.degraded = tuple(self._missing())

    def _missing(self) -> list[str]:
        if self._task is None:
            return []
        if not self._task.done():
            return ["not all citations were inferred: the embedder took too long"]
        failure = self._task.exception()
        if isinstance(failure, MeshError):
            return [f"no citations were inferred: {_WHY.get(failure.reason, failure.message)}"]
        if failure is not None:
            raise failure
        most = self._options.most_sentences
        if self._asked > most:
            return [f"no citations were inferred after the first {most} sentences without one"]
        return []

    async def _align_all(self) -> None:
        sources = self._sources()
        aligner = Aligner(sources, await self._vectors([source.text for source in sources]))
        while (sentence := await self._sentences.get()) is not None:
            (vector,) = await self._vectors([sentence.text])
            aligned = aligner.best(sentence.text, vector)
            if aligned is not None and aligned.score >= self._options.min_score:
                source = aligned.source
                citation = of_part(
                    CitationKind.INFERRED,
                    source.passage,
                    (source.start, source.end),
                    answer=(sentence.start_byte, sentence.end_byte),
                    score=aligned.score,
                )
                self._known.append(citation)

    def _sources(self) -> list[SourceSentence]:
        """The sentences to look at, within what the embedder is to be given for one answer."""
        sources, characters = list[SourceSentence](), 0
        for source in source_sentences(self._passages):
            characters += source.end - source.start
            if characters > self._options.most_characters:
                break
            sources.append(source)
            if len(sources) == self._options.most_sources:
                break
        return sources

    async def _vectors(self, texts: Sequence[str]) -> Sequence[Vector]:
        vectors = await self._embed(texts) if texts else ()
        if len(vectors) != len(texts):
            raise Internal(f"the embedder gave {len(vectors)} vectors for {len(texts)} texts")
        return vectors
