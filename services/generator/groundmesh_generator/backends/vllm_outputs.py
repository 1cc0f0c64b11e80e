"""vLLM's outputs as deltas and an end. Imports nothing of vLLM, which would take seconds."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from groundmesh_generator.backends.base import (
    Delta,
    Finished,
    FinishReason,
    GenerationJob,
    Timings,
    TokenLogprob,
    TokenLogprobs,
)
from groundmesh_generator.backends.tally import Tally


class VllmOutputs:
    """What vLLM has said of one job so far."""

    def __init__(self, job: GenerationJob) -> None:
        self._job = job
        self._tally = Tally(job.sampling.answers)
        self._timings = Timings()
        self._cached_tokens: dict[int, int] = {}
        self._formed: dict[int, list[int]] = defaultdict(list)
        """The tokens of each answer that must have a form."""

    def add(self, output: Any) -> list[Delta]:
        """The deltas of a ``RequestOutput``, of whichever answers it speaks."""
        if output.metrics is not None:
            self._timings = _longest(self._timings, output.metrics, self._job.received_at)
        deltas: list[Delta] = []
        for completion in output.outputs:
            self._cached_tokens.setdefault(completion.index, output.num_cached_tokens or 0)
            self._keep(completion)
            deltas += self._tally.add(
                completion.index,
                completion.text,
                tokens=len(completion.token_ids),
                logprobs=[
                    _logprobs(token_id, among, likeliest=self._job.sampling.logprobs or 0)
                    for token_id, among in zip(
                        completion.token_ids, completion.logprobs or (), strict=False
                    )
                ],
            )
            if completion.finish_reason is not None:
                self._tally.end(completion.index, completion.finish_reason)
        return deltas

    @property
    def formed(self) -> list[list[int]]:
        """The tokens of the answers that ended by themselves and must have a form."""
        return list(self._formed.values())

    def finished(self) -> Finished:
        """The end of the job; Internal when vLLM gave one up."""
        return Finished(
            reasons=self._tally.reasons,
            prompt_tokens=len(self._job.token_ids),
            completion_tokens=self._tally.tokens,
            # The first of several answers reads the prompt, and the others find it in the cache.
            cached_prompt_tokens=min(self._cached_tokens.values(), default=0),
            timings=self._timings,
        )

    def _keep(self, completion: Any) -> None:
        if self._job.sampling.structured_output is None:
            return
        kept = self._formed[completion.index]
        kept += completion.token_ids
        if completion.finish_reason == FinishReason.STOP and completion.stop_reason is None:
            del kept[-1:]  # the token that ends it
        elif completion.finish_reason is not None:
            del self._formed[completion.index]  # cut off before it could be complete


def _logprobs(token_id: int, among: Mapping[int, Any], *, likeliest: int) -> TokenLogprobs:
    """vLLM gives the chosen token, wherever it ranks, with the likeliest."""
    ranked = sorted(among.items(), key=lambda each: each[1].rank)
    return TokenLogprobs(
        chosen=_logprob(token_id, among[token_id]),
        likeliest=tuple(_logprob(*each) for each in ranked[:likeliest]),
    )


def _logprob(token_id: int, logprob: Any) -> TokenLogprob:
    return TokenLogprob(logprob.decoded_token or "", token_id, logprob.logprob)


def _longest(before: Timings, metrics: Any, received_at: float) -> Timings:
    """The timings with those of one more answer: of several, the longest wait in each stage."""
    # vLLM's timestamps are of the same clock: CLOCK_MONOTONIC is one for all processes.
    return Timings(
        queue_s=max(before.queue_s, metrics.scheduled_ts - received_at),
        prefill_s=max(before.prefill_s, metrics.first_token_ts - metrics.scheduled_ts),
        decode_s=max(before.decode_s, metrics.last_token_ts - metrics.first_token_ts),
    )
