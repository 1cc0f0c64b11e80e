"""What engines say, as deltas: nothing is lost, and tokens go with their text."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundmesh.errors import Internal
from groundmesh_generator.backends.base import (
    Delta,
    Finished,
    FinishReason,
    GenerationJob,
    Priority,
    TokenLogprob,
    TokenLogprobs,
)
from groundmesh_generator.backends.tally import Tally
from groundmesh_generator.backends.vllm_outputs import VllmOutputs
from groundmesh_generator.prompts import TextPrompt
from groundmesh_generator.sampling import Sampling
from groundmesh_generator.structured import Regex

STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "a", "bc"]), st.integers(0, 3)))


def logprob(name: str) -> TokenLogprobs:
    return TokenLogprobs(TokenLogprob(name, 0, -1.0), ())


@given(STEPS)
def test_texts_tokens_and_log_probabilities_add_up(steps: list[tuple[int, str, int]]) -> None:
    tally = Tally(3)
    deltas: list[Delta] = []
    told: dict[int, list[TokenLogprobs]] = {0: [], 1: [], 2: []}
    for number, (index, text, tokens) in enumerate(steps):
        given = [logprob(f"{number}.{token}") for token in range(tokens)]
        told[index] += given
        deltas += tally.add(index, text, tokens=tokens, logprobs=given)
    assert tally.tokens == sum(tokens for _, _, tokens in steps)
    for index in range(3):
        mine = [delta for delta in deltas if delta.index == index]
        assert all(delta.text and len(delta.logprobs) == delta.tokens for delta in mine)
        said = "".join(text for at, text, _ in steps if at == index)
        assert "".join(delta.text for delta in mine) == said
        sent = [each for delta in mine for each in delta.logprobs]
        assert sent == told[index][: len(sent)]


def test_an_answer_without_an_end_or_with_a_strange_one_is_a_fault() -> None:
    tally = Tally(2)
    tally.end(1, "length")
    with pytest.raises(Internal):
        _ = tally.reasons
    with pytest.raises(Internal, match="error"):
        tally.end(0, "error")
    tally.end(0, "stop")
    assert tally.reasons == (FinishReason.STOP, FinishReason.LENGTH)


def job_of(sampling: Sampling) -> GenerationJob:
    return GenerationJob(
        id="1",
        prompt=TextPrompt("a"),
        token_ids=(1, 2),
        sampling=sampling,
        max_tokens=9,
        priority=Priority.INTERACTIVE,
        received_at=10.0,
    )


def part(text: str, *token_ids: int, index: int = 0, **fields: Any) -> SimpleNamespace:
    given = {"finish_reason": None, "stop_reason": None, "logprobs": None, **fields}
    return SimpleNamespace(index=index, text=text, token_ids=list(token_ids), **given)


def output(*parts: SimpleNamespace, cached: int = 0) -> SimpleNamespace:
    metrics = SimpleNamespace(scheduled_ts=11.0, first_token_ts=13.0, last_token_ts=16.0)
    return SimpleNamespace(outputs=parts, metrics=metrics, num_cached_tokens=cached)


def test_one_output_of_vllm_may_speak_of_several_answers() -> None:
    said = VllmOutputs(job_of(Sampling(n=2)))
    assert said.add(output(part("", 4, index=1), part("a", 3), cached=1)) == [Delta("a", 1, 0)]
    assert said.add(output(part("b", 5, index=1, finish_reason="length"))) == [Delta("b", 2, 1)]
    assert said.add(output(part("", 2, finish_reason="stop"))) == []
    finished = said.finished()
    assert finished == Finished(
        reasons=(FinishReason.STOP, FinishReason.LENGTH),
        prompt_tokens=2,
        completion_tokens=4,
        cached_prompt_tokens=1,
        timings=finished.timings,
    )
    timings = finished.timings
    assert (timings.queue_s, timings.prefill_s, timings.decode_s) == (1.0, 2.0, 3.0)


def test_what_one_answer_leaves_in_the_cache_for_another_is_not_saved() -> None:
    said = VllmOutputs(job_of(Sampling(n=2)))
    said.add(output(part("a", 3, index=0, finish_reason="length"), cached=0))
    said.add(output(part("b", 3, index=1, finish_reason="length"), cached=2))
    assert said.finished().cached_prompt_tokens == 0


def test_the_chosen_token_is_among_the_likeliest_only_where_it_belongs() -> None:
    among = {
        7: SimpleNamespace(rank=30, decoded_token="x", logprob=-9.0),
        1: SimpleNamespace(rank=1, decoded_token="a", logprob=-0.1),
        2: SimpleNamespace(rank=2, decoded_token="b", logprob=-3.0),
    }
    said = VllmOutputs(job_of(Sampling(logprobs=2)))
    (delta,) = said.add(output(part("x", 7, logprobs=[among])))
    (token,) = delta.logprobs
    assert token.chosen == TokenLogprob("x", 7, -9.0)
    assert [each.token_id for each in token.likeliest] == [1, 2]


def test_answers_that_ended_by_themselves_are_kept_to_be_checked() -> None:
    said = VllmOutputs(job_of(Sampling(n=3, structured_output=Regex("a+"))))
    said.add(output(*(part("a", 5, index=index) for index in range(3))))
    said.add(output(part("a", 6, 2, index=0, finish_reason="stop")))
    said.add(output(part("", 6, index=1, finish_reason="stop", stop_reason="b")))
    said.add(output(part("", 6, index=2, finish_reason="length")))
    assert said.formed == [[5, 6]]
