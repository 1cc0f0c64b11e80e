"""All that is checked of one answer while it is made."""

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from groundmesh.prompting.declining import declines
from groundmesh_gateway.grounding.answer_sentences import AnswerSentences, Sentence
from groundmesh_gateway.grounding.checker import CitationChecker
from groundmesh_gateway.grounding.coverage import Coverage, coverage_of
from groundmesh_gateway.grounding.inferring import EmbedTexts, InferOptions, Inferrer
from groundmesh_gateway.grounding.model import Checked, Citation, SentPassage, TextDelta

_STATES = re.compile(r"\w")
_MARKER = re.compile(r"\[[0-9, ]+\]")


class Grounder:
    """Takes an answer in, in any pieces; gives out its text and its citations of all kinds.

    No text ever waits for a citation. A citation comes after the text that it is about.
    """

    def __init__(
        self, passages: Sequence[SentPassage], embed: EmbedTexts, options: InferOptions
    ) -> None:
        """``passages`` are those that were sent; ``embed`` gives vectors of pieces of them."""
        self._checker = CitationChecker(passages)
        self._inferrer = Inferrer(passages, embed, options)
        self._unfinished = AnswerSentences()
        self._sentences: list[Sentence] = []
        self._undecided: list[Sentence] = []
        self._citations: list[Citation] = []

    async def __aenter__(self) -> Self:
        await self._inferrer.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._inferrer.__aexit__(kind, error, traceback)

    @property
    def removed(self) -> int:
        """Citations that did not check."""
        return self._checker.removed

    @property
    def coverage(self) -> Coverage:
        """How much of the answer is cited, once it is over."""
        return coverage_of(self._sentences, self._citations)

    @property
    def degraded(self) -> tuple[str, ...]:
        """What did not run, in plain words."""
        return self._inferrer.degraded

    def feed(self, piece: str) -> list[Checked]:
        """More of the answer from the model."""
        checked = self._checker.feed(piece)
        text = self._follow(checked)
        self._decide()
        if _STATES.search(text) and self._goes_on_uncited():
            self._inferrer.prepare()
        return [*checked, *self._inferred()]

    def end(self) -> list[Checked]:
        """The answer is over: what was held back of it."""
        checked = self._checker.finish()
        self._follow(checked)
        rest = self._unfinished.finish()
        self._sentences += rest
        self._undecided += rest
        self._decide()
        return [*checked, *self._inferred()]

    async def last_citations(self) -> Sequence[Citation]:
        """After ``end``: what was still being looked for."""
        await self._inferrer.finish()
        return self._inferred()

    def _follow(self, checked: Sequence[Checked]) -> str:
        """Note what was checked; the text of it."""
        text = "".join(event.text for event in checked if isinstance(event, TextDelta))
        over = self._unfinished.add_text(text)
        self._sentences += over
        self._undecided += over
        self._citations += [event for event in checked if isinstance(event, Citation)]
        return text

    def _decide(self) -> None:
        """Look for sources of the sentences of which it is sure that nothing cites them."""
        quote = self._checker.open_quote_at
        while self._undecided and (quote is None or self._undecided[0].end_byte <= quote):
            sentence = self._undecided.pop(0)
            # That the passages don't say it stands in none of them, however near it comes.
            if not self._is_cited(sentence) and not declines(sentence.text):
                self._inferrer.ask(sentence)

    def _goes_on_uncited(self) -> bool:
        """Whether the sentence that is being made cites nothing so far, and may need a source."""
        if self._inferrer.is_prepared or self._checker.open_quote_at is not None:
            return False
        said, start = self._unfinished.unfinished
        if _MARKER.search(said):
            return False
        return not any(each.answer_end_byte > start for each in self._citations)

    def _is_cited(self, sentence: Sentence) -> bool:
        return any(each.touches(sentence.start_byte, sentence.end_byte) for each in self._citations)

    def _inferred(self) -> list[Citation]:
        known = self._inferrer.known()
        self._citations += known
        return known
