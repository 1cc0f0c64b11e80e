"""What of a generation goes over the wire, and comes back."""

import pytest

from groundmesh.errors import InvalidArgument
from groundmesh.v1 import generator_pb2 as pb
from groundmesh_generator.backends.base import (
    Delta,
    Finished,
    FinishReason,
    TokenLogprob,
    TokenLogprobs,
)
from groundmesh_generator.sampling import Sampling
from groundmesh_generator.structured import Choices, Grammar, JsonSchema, Regex, StructuredOutput
from groundmesh_generator.wire import response_of, sampling_of


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (pb.StructuredOutput(json_schema="{}"), JsonSchema("{}")),
        (pb.StructuredOutput(regex="a+"), Regex("a+")),
        (pb.StructuredOutput(choices=pb.Choices(values=["a", "b"])), Choices(("a", "b"))),
        (pb.StructuredOutput(choices=pb.Choices()), Choices(())),
        (pb.StructuredOutput(grammar="x"), Grammar("x")),
    ],
)
def test_every_form_is_read(sent: pb.StructuredOutput, read: StructuredOutput) -> None:
    sampling = sampling_of(pb.Sampling(structured_output=sent), field="sampling")
    assert sampling == Sampling(structured_output=read)


def test_a_form_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"sampling\.structured_output"):
        sampling_of(pb.Sampling(structured_output=pb.StructuredOutput()), field="sampling")


def test_what_is_set_to_zero_is_not_what_is_absent() -> None:
    sampling = sampling_of(pb.Sampling(logprobs=0, n=0, top_k=0, stop=["x"]), field="sampling")
    assert sampling == Sampling(logprobs=0, n=0, top_k=0, stop=("x",))
    assert sampling_of(pb.Sampling(), field="sampling") == Sampling()


def test_a_delta_is_told_with_its_index_and_its_log_probabilities() -> None:
    known, unknown = TokenLogprob("a", 7, -0.5), TokenLogprob("b", None, -1.5)
    sent = response_of(Delta("ab", 2, 3, (TokenLogprobs(known, (known, unknown)),))).delta
    assert (sent.text, sent.tokens, sent.index) == ("ab", 2, 3)
    (token,) = sent.logprobs
    assert token.chosen == pb.TokenLogprob(text="a", token_id=7, logprob=-0.5)
    assert [each.HasField("token_id") for each in token.likeliest] == [True, False]


def test_each_answer_says_why_it_ended_and_all_are_counted_together() -> None:
    reasons = (FinishReason.LENGTH, FinishReason.STOP)
    sent = response_of(Finished(reasons, prompt_tokens=3, completion_tokens=12)).final
    assert list(sent.finish_reasons) == [pb.FINISH_REASON_LENGTH, pb.FINISH_REASON_STOP]
    assert sent.finish_reason == pb.FINISH_REASON_LENGTH
    assert (sent.usage.prompt_tokens, sent.usage.completion_tokens) == (3, 12)
