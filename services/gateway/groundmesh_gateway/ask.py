"""A question on its way: passages, a prompt, an answer whose citations are checked."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from groundmesh.errors import InvalidArgument, Reason, Unavailable
from groundmesh.prompting import (
    DEFAULT_TEMPLATE,
    GroundedPrompt,
    Message,
    PackedPassage,
    QuestionTooLong,
    Template,
    TokenBudget,
    build_prompt,
)
from groundmesh_gateway.abstaining import (
    Abstention,
    Listener,
    abstention,
    evidence,
    said_instead,
)
from groundmesh_gateway.ask_ports import Asking, Done, Piece, Started
from groundmesh_gateway.conversation import asked_question
from groundmesh_gateway.finding import Finder, FindOptions, Found, FoundPassage
from groundmesh_gateway.grounding import (
    Citation,
    Coverage,
    Grounder,
    InferOptions,
    SentPassage,
    TextDelta,
)
from groundmesh_gateway.stages import Stage, Stopwatch

_LONG_TEXT = 20_000
"""Characters whose counting takes tens of milliseconds, which the event loop shall not wait for."""

V = TypeVar("V")
F = TypeVar("F")


@dataclass(frozen=True)
class AskOptions:
    """How questions are answered."""

    answer_tokens: int = 256
    """Most tokens of an answer for which the question sets no bound. What a few passages have to
    say takes fewer; a small model that has said it goes on to the bound all the same."""
    min_score: float = 0.0
    """Cosine that the nearest passage of a collection without a calibration must have, else the
    model is not asked; 0: no bound."""
    finding: FindOptions = field(default_factory=FindOptions)
    """How passages are found."""
    inferring: InferOptions = field(default_factory=InferOptions)
    """How sources are found for sentences that cite none."""


@dataclass(frozen=True)
class SourcesChosen:
    """The passages that the model is given: what was found of each, and what the prompt has."""

    passages: tuple[tuple[FoundPassage, PackedPassage], ...]
    standalone_question: str = ""
    """What they were found for, where that is not the question as it was put."""


@dataclass(frozen=True)
class Answered(Generic[F]):
    """The end of an answer."""

    model: str
    finish: F | None
    seconds: Mapping[Stage, float]
    removed_citations: int
    degraded: tuple[str, ...]
    template: str = ""
    """That of the prompt; empty when the model was not asked."""
    coverage: Coverage | None = None
    """None when the model was not asked."""
    abstention: Abstention | None = None
    evidence: float | None = None
    """The cosine of the question and the passage nearest to it."""


AskEvent = SourcesChosen | TextDelta | Citation | Answered[F]


@dataclass
class Ask(Generic[V, F]):
    """One question that is being answered."""

    question: str
    mesh: Asking[V, F]
    options: AskOptions
    max_tokens: int | None = None
    """Most tokens of the answer, as the caller bounds it."""
    template: Template = DEFAULT_TEMPLATE
    history: Sequence[Message] = ()
    """The conversation before the question."""
    watch: Stopwatch = field(default_factory=Stopwatch)

    async def answer(self) -> AsyncGenerator[AskEvent[F], None]:
        """``SourcesChosen``, text and citations as they are made, ``Answered``."""
        asked = await asked_question(self.question, self.history, self.mesh, self.watch)
        self.mesh.find_for(asked.searched)
        standalone = asked.searched if asked.searched != self.question else ""
        found, least = await self._found()
        found = replace(found, degraded=(*asked.degraded, *found.degraded))
        why = abstention(found, least, otherwise=self.options.min_score or None)
        if why is not None:
            yield SourcesChosen((), standalone)
            yield TextDelta(said_instead(why))
            yield self._abstained(why, found)
            return
        self.watch.enter(Stage.PROMPT)
        prompt, max_tokens = await self._prompt(asked.question, found)
        found = replace(found, degraded=(*found.degraded, *_left_out(prompt)))
        sources = tuple((found.passages[each.index], each) for each in prompt.passages)
        yield SourcesChosen(sources, standalone)
        listener = Listener()
        async with aclosing(self._generate(prompt, max_tokens, found)) as events:
            async for event in events:
                match event:
                    case TextDelta():
                        listener.hear(event.text)
                        yield event
                    case Answered():
                        why = listener.abstention()
                        yield replace(event, abstention=why, evidence=evidence(found))
                    case _:
                        yield event

    async def _found(self) -> tuple[Found, Mapping[str, float]]:
        """What was found, and the bounds that it is held against; both are asked for at once."""
        least = asyncio.create_task(self.mesh.least_evidence(), name="calibrations")
        try:
            found = await Finder(self.mesh, self.options.finding, self.watch).find()
            return found, await least
        finally:
            least.cancel()

    def _abstained(self, why: Abstention, found: Found) -> Answered[F]:
        return Answered(
            model="",
            finish=None,
            seconds=self.watch.finish(),
            removed_citations=0,
            degraded=found.degraded,
            abstention=why,
            evidence=evidence(found),
        )

    async def _prompt(self, question: str, found: Found) -> tuple[GroundedPrompt, int]:
        tokens = await self.mesh.model_tokens()
        answer = self.max_tokens
        if answer is None:
            answer = min(self.options.answer_tokens, tokens.max_answer, tokens.window // 4)
        budget = TokenBudget(window=tokens.window, answer=answer, chat=tokens.chat)
        passages = [each.passage for each in found.passages]

        def build() -> GroundedPrompt:
            return build_prompt(
                question,
                passages,
                budget=budget,
                count=tokens.count,
                at_most=tokens.at_most,
                template=self.template,
                history=self.history,
                reserved=tokens.reserved,
            )

        texts = (question, *(each.text for each in passages), *(m.content for m in self.history))
        size = sum(map(len, texts))
        try:
            return (await asyncio.to_thread(build) if size > _LONG_TEXT else build()), answer
        except QuestionTooLong as error:
            raise InvalidArgument.of_field(
                "question",
                f"has {error.tokens} tokens; beside an answer of {answer}, the window of "
                f"{tokens.model} ({tokens.window}) has room for {error.room} and no passage then",
                reason=Reason.INPUT_TOO_LONG,
            ) from error

    async def _generate(
        self, prompt: GroundedPrompt, max_tokens: int, found: Found
    ) -> AsyncGenerator[AskEvent[F], None]:
        # Best first, wherever the prompt has them.
        packed = sorted(prompt.passages, key=lambda each: each.index)
        sent = [_sent(each, found) for each in packed]
        grounder = Grounder(sent, self.mesh.embed_texts, self.options.inferring)
        model, finish = "", None
        self.watch.enter(Stage.FIRST_TOKEN)
        pieces = self.mesh.generate(prompt.messages, max_tokens=max_tokens, stops=prompt.stops)
        async with grounder, aclosing(pieces):
            async for event in pieces:
                match event:
                    case Started():
                        model = event.model
                    case Piece():
                        self.watch.enter_once(Stage.GENERATE)
                        for checked in grounder.feed(event.text):
                            yield checked
                    case Done():
                        finish = event.finish
            self.watch.enter(Stage.CITE)
            for checked in grounder.end():
                yield checked
            for citation in await grounder.last_citations():
                yield citation
        yield self._answered(model, finish, grounder, found)

    def _answered(
        self, model: str, finish: F | None, grounder: Grounder, found: Found
    ) -> Answered[F]:
        if finish is None:
            raise Unavailable("the generator ended the answer without saying why")
        return Answered(
            model=model,
            finish=finish,
            seconds=self.watch.finish(),
            removed_citations=grounder.removed,
            degraded=(*found.degraded, *grounder.degraded),
            template=self.template.reference,
            coverage=grounder.coverage,
        )


def _left_out(prompt: GroundedPrompt) -> tuple[str, ...]:
    count = prompt.turns_left_out
    return (f"the oldest {count} turns of the conversation had no room",) if count else ()


def _sent(packed: PackedPassage, found: Found) -> SentPassage:
    passage = found.passages[packed.index]
    start = passage.start_byte
    end = start + len(packed.text.encode())
    return SentPassage(packed.number, packed.text, start, end, passage.document)
