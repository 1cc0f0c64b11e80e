"""The generator's contract over the wire, on the production chassis, with a fake engine."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tokenizers import Tokenizer

from groundmesh.channel import open_channel, translated
from groundmesh.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Reason,
    Unavailable,
    Unimplemented,
)
from groundmesh.server.running import RunningServer
from groundmesh.testing import running
from groundmesh.v1.common_pb2 import PRIORITY_BULK
from groundmesh.v1.generator_pb2 import (
    FINISH_REASON_LENGTH,
    FINISH_REASON_STOP,
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_USER,
    ChatMessage,
    ChatPrompt,
    CountTokensRequest,
    GenerateRequest,
    GenerateResponse,
    GeneratorServiceGetTokenizerRequest,
    GeneratorServiceListModelsRequest,
    Prompt,
    Sampling,
    StructuredOutput,
)
from groundmesh.v1.generator_pb2_grpc import GeneratorServiceStub
from groundmesh.v1.mesh_pb2 import GetServerInfoRequest
from groundmesh.v1.mesh_pb2_grpc import MeshServiceStub
from groundmesh_generator.backends.base import Priority
from tests.fakes.paced_generator import ANSWER, MODEL, PacedBackend, paced_generator
from tests.waiting import until

if TYPE_CHECKING:
    from groundmesh.v1.generator_pb2_grpc import GeneratorServiceAsyncStub

TEXT = Prompt(text="one two three")


def chat(*messages: tuple[Any, str]) -> Prompt:
    said = [ChatMessage(role=role, content=content) for role, content in messages]
    return Prompt(chat=ChatPrompt(messages=said))


@dataclass
class Bench:
    """A served generator and what stands at both ends of it."""

    backend: PacedBackend
    server: RunningServer
    stub: "GeneratorServiceAsyncStub"
    mesh: Any

    async def generate(self, request: GenerateRequest, **options: Any) -> list[GenerateResponse]:
        with translated("generator"):
            return [event async for event in self.stub.Generate(request, **options)]

    async def call(self, method: str, request: Any) -> Any:
        with translated("generator"):
            return await getattr(self.stub, method)(request, timeout=10)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    backend = PacedBackend()
    async with (
        running(paced_generator(backend), engine_check_interval_s=0.05) as server,
        open_channel(server.address) as channel,
    ):
        backend.jobs.clear()
        yield Bench(backend, server, GeneratorServiceStub(channel), MeshServiceStub(channel))


async def test_a_generation_starts_streams_and_ends(bench: Bench) -> None:
    bench.backend.repeat = False
    started, *deltas, last = await bench.generate(GenerateRequest(prompt=TEXT))
    assert (started.started.model, started.started.prompt_tokens) == (MODEL, 3)
    assert "".join(each.delta.text for each in deltas) == ANSWER
    assert all(each.delta.tokens == 1 and each.delta.index == 0 for each in deltas)
    assert last.final.finish_reason == FINISH_REASON_STOP
    assert last.final.usage.prompt_tokens == 3
    assert last.final.usage.completion_tokens == len(deltas)


async def test_deltas_are_not_held_back(bench: Bench) -> None:
    bench.backend.token_s = 0.05
    request = GenerateRequest(prompt=TEXT, sampling=Sampling(max_tokens=6))
    moments = [time.monotonic() async for _ in bench.stub.Generate(request)]
    assert moments[-1] - moments[0] > 0.2


async def test_sampling_reaches_the_engine_as_it_was_sent(bench: Bench) -> None:
    sampling = Sampling(
        temperature=0, top_p=0.5, top_k=0, min_p=0.25, seed=0, stop=["[1]"], max_tokens=50
    )
    events = await bench.generate(
        GenerateRequest(prompt=TEXT, sampling=sampling, priority=PRIORITY_BULK)
    )
    (job,) = bench.backend.jobs
    assert (job.sampling.temperature, job.sampling.top_k, job.sampling.seed) == (0, 0, 0)
    assert (job.sampling.top_p, job.sampling.min_p) == (0.5, 0.25)
    assert job.sampling.presence_penalty is None
    assert (job.sampling.stop, job.max_tokens, job.priority) == (("[1]",), 50, Priority.BULK)
    assert "[1]" not in "".join(event.delta.text for event in events)
    assert events[-1].final.finish_reason == FINISH_REASON_STOP


async def test_conversations_are_put_into_the_template(bench: Bench) -> None:
    prompt = chat((ROLE_SYSTEM, "be brief"), (ROLE_USER, "why ?"))
    events = await bench.generate(GenerateRequest(prompt=prompt, sampling=Sampling(max_tokens=1)))
    assert events[0].started.prompt_tokens == 10
    assert events[-1].final.finish_reason == FINISH_REASON_LENGTH


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "prompt"),
        ({"prompt": Prompt()}, "prompt"),
        ({"prompt": Prompt(text=" ")}, "prompt.text"),
        ({"prompt": chat()}, "prompt.chat.messages"),
        ({"prompt": chat((0, "hi"))}, "prompt.chat.messages[0].role"),
        ({"prompt": chat((9, "hi"))}, "prompt.chat.messages[0].role"),
        ({"prompt": chat((ROLE_USER, ""))}, "prompt.chat.messages[0].content"),
        ({"prompt": chat((ROLE_ASSISTANT, "hi"))}, "prompt.chat.messages[0].role"),
        ({"prompt": TEXT, "priority": 7}, "priority"),
        ({"prompt": TEXT, "sampling": Sampling(temperature=float("nan"))}, "sampling.temperature"),
        ({"prompt": TEXT, "sampling": Sampling(top_p=-1)}, "sampling.top_p"),
        ({"prompt": TEXT, "sampling": Sampling(max_tokens=-1)}, "sampling.max_tokens"),
        ({"prompt": TEXT, "sampling": Sampling(n=0)}, "sampling.n"),
        ({"prompt": TEXT, "sampling": Sampling(n=17)}, "sampling.n"),
        ({"prompt": TEXT, "sampling": Sampling(logprobs=21)}, "sampling.logprobs"),
        (
            {"prompt": TEXT, "sampling": Sampling(structured_output=StructuredOutput())},
            "sampling.structured_output",
        ),
        (
            {
                "prompt": TEXT,
                "sampling": Sampling(structured_output=StructuredOutput(json_schema="{")),
            },
            "sampling.structured_output.json_schema",
        ),
        ({"prompt": TEXT, "sampling": Sampling(stop=[""])}, "sampling.stop[0]"),
    ],
)
async def test_a_wrong_field_is_named(bench: Bench, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await bench.generate(GenerateRequest(**fields))
    assert [violation.field for violation in refused.value.fields] == [field]
    assert bench.backend.jobs == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (
            {"sampling": Sampling(structured_output=StructuredOutput(regex="a+"))},
            "sampling.structured_output.regex",
        ),
    ],
)
async def test_what_this_engine_cannot_do_says_so(
    bench: Bench, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unimplemented) as refused:
        await bench.generate(GenerateRequest(prompt=TEXT, **fields))
    assert refused.value.reason is Reason.NOT_BUILT_YET
    assert [violation.field for violation in refused.value.fields] == [field]
    assert field in refused.value.message


async def test_what_does_not_fit_the_window_is_refused_with_the_figures(bench: Bench) -> None:
    request = GenerateRequest(prompt=Prompt(text="word " * 4090), sampling=Sampling(max_tokens=7))
    with pytest.raises(InvalidArgument) as refused:
        await bench.generate(request)
    assert refused.value.reason is Reason.INPUT_TOO_LONG
    assert dict(refused.value.metadata) == {
        "prompt_tokens": "4090",
        "max_tokens": "7",
        "context_tokens": "4096",
    }


async def test_every_call_refuses_a_model_that_is_not_served(bench: Bench) -> None:
    for method, request in {
        "CountTokens": CountTokensRequest(model="gpt-9", prompts=[TEXT]),
        "GetTokenizer": GeneratorServiceGetTokenizerRequest(model="gpt-9"),
    }.items():
        with pytest.raises(NotFound) as unknown:
            await bench.call(method, request)
        assert unknown.value.reason is Reason.MODEL_NOT_FOUND
    with pytest.raises(NotFound):
        await bench.generate(GenerateRequest(model="gpt-9", prompt=TEXT))


async def test_tokens_are_counted_as_the_tokenizer_that_is_handed_out_counts(
    bench: Bench,
) -> None:
    prompts = [TEXT, chat((ROLE_USER, "two words"))]
    counted = await bench.call("CountTokens", CountTokensRequest(model=MODEL, prompts=prompts))
    assert (counted.model, list(counted.token_counts)) == (MODEL, [3, 6])
    handed = await bench.call("GetTokenizer", GeneratorServiceGetTokenizerRequest())
    assert hashlib.sha256(handed.tokenizer_json).hexdigest() == handed.sha256
    assert len(Tokenizer.from_str(handed.tokenizer_json.decode()).encode(TEXT.text).ids) == 3
    assert (handed.model, handed.context_tokens) == (MODEL, 4096)
    assert "message.content" in handed.chat_template
    with pytest.raises(InvalidArgument):
        await bench.call("CountTokens", CountTokensRequest())


async def test_the_model_served_is_listed(bench: Bench) -> None:
    (model,) = (await bench.call("ListModels", GeneratorServiceListModelsRequest())).models
    assert (model.model, model.context_tokens, model.max_output_tokens) == (MODEL, 4096, 1024)


async def test_a_caller_that_leaves_or_is_late_ends_the_work(bench: Bench) -> None:
    bench.backend.token_s = 0.02
    call = bench.stub.Generate(GenerateRequest(prompt=TEXT))
    await until(lambda: bench.backend.load.running == 1)
    info = await bench.mesh.GetServerInfo(GetServerInfoRequest())
    assert info.server.load["running_requests"] == 1
    call.cancel()
    await until(lambda: bench.backend.load.running == 0, within_s=5)
    with pytest.raises(DeadlineExceeded):
        await bench.generate(GenerateRequest(prompt=TEXT), timeout=0.2)
    await until(lambda: bench.backend.load.running == 0, within_s=5)


async def test_when_the_engine_dies_callers_hear_of_it_and_the_server_gives_up(
    bench: Bench,
) -> None:
    bench.backend.token_s = 0.05
    generating = asyncio.create_task(bench.generate(GenerateRequest(prompt=TEXT)))
    await until(lambda: bench.backend.load.running == 1)
    bench.backend.die()
    with pytest.raises(Unavailable) as heard:
        await generating
    assert heard.value.reason is Reason.ENGINE_DEAD
    error = await asyncio.wait_for(bench.server.over(), 5)
    assert isinstance(error, Unavailable)
