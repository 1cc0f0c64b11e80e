"""The chunks of an OpenAI-compatible endpoint as deltas and an end."""

import time
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from groundmesh.errors import Reason, Unavailable
from groundmesh_generator.backends.base import (
    Delta,
    Finished,
    GenerationJob,
    Timings,
    TokenLogprob,
    TokenLogprobs,
)
from groundmesh_generator.backends.tally import Tally
from groundmesh_generator.prompts import ChatPrompt


class Chunks:
    """What an endpoint has said of one job so far, to a conversation or to a text."""

    def __init__(self, job: GenerationJob) -> None:
        """The request is about to be sent."""
        self._job = job
        self._is_chat = isinstance(job.prompt, ChatPrompt)
        self._tally = Tally(job.sampling.answers)
        self._unfinished = set(range(job.sampling.answers))
        self._usage: Any = None
        self._sent_at = time.monotonic()
        self._first_at: float | None = None
        self._last_at = self._sent_at

    def add(self, chunk: Any) -> Iterator[Delta]:
        """The deltas of a chunk, of whichever answers it speaks."""
        self._usage = getattr(chunk, "usage", None) or self._usage
        for choice in chunk.choices:
            yield from self._add(choice)

    def finished(self) -> Finished:
        """The end; Unavailable when the stream ended before the answers did."""
        if self._unfinished:
            raise Unavailable(
                "the endpoint broke off in the middle", reason=Reason.SERVICE_UNREACHABLE
            )
        usage, first_at = self._usage, self._first_at or self._last_at
        details = getattr(usage, "prompt_tokens_details", None)
        return Finished(
            reasons=self._tally.reasons,
            prompt_tokens=usage.prompt_tokens if usage else len(self._job.token_ids),
            completion_tokens=usage.completion_tokens if usage else self._tally.tokens,
            cached_prompt_tokens=getattr(details, "cached_tokens", None) or 0,
            timings=Timings(
                queue_s=self._sent_at - self._job.received_at,
                prefill_s=first_at - self._sent_at,
                decode_s=self._last_at - first_at,
                knows_queue=False,
            ),
        )

    def _add(self, choice: Any) -> Iterator[Delta]:
        text = (choice.delta.content if self._is_chat else choice.text) or ""
        read, likeliest = (_of_chat if self._is_chat else _of_text), self._job.sampling.logprobs
        logprobs = list(read(choice, likeliest or 0))
        tokens = _tokens(choice, text, logprobs)
        if tokens:
            self._last_at = time.monotonic()
            self._first_at = self._first_at or self._last_at
        yield from self._tally.add(choice.index, text, tokens=tokens, logprobs=logprobs)
        if choice.finish_reason is not None:
            self._tally.end(choice.index, choice.finish_reason)
            self._unfinished.discard(choice.index)


def _tokens(choice: Any, text: str, logprobs: list[TokenLogprobs]) -> int:
    """How many tokens a chunk brings; one a text where the endpoint does not say."""
    if (token_ids := getattr(choice, "token_ids", None)) is not None:  # vLLM's own
        return len(token_ids)
    return len(logprobs) or int(bool(text))


def _of_chat(choice: Any, likeliest: int) -> Iterator[TokenLogprobs]:
    for token in (choice.logprobs and choice.logprobs.content) or ():
        among = [(each.token, each.logprob) for each in token.top_logprobs or ()]
        yield _logprobs(token.token, token.logprob, among[:likeliest])


def _of_text(choice: Any, likeliest: int) -> Iterator[TokenLogprobs]:
    if (said := choice.logprobs) is None:
        return
    among = said.top_logprobs or [None] * len(said.tokens)
    for token, logprob, others in zip(said.tokens, said.token_logprobs, among, strict=True):
        ranked = sorted((others or {}).items(), key=itemgetter(1), reverse=True)
        yield _logprobs(token, logprob, ranked[:likeliest])


def _logprobs(text: str, logprob: float, among: Sequence[tuple[str, float]]) -> TokenLogprobs:
    """The numbers of tokens are no part of the protocol."""
    return TokenLogprobs(
        TokenLogprob(text, None, logprob),
        tuple(TokenLogprob(each, None, value) for each, value in among),
    )
