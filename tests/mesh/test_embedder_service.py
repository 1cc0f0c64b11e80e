"""The embedder's contract, over the wire, on the production chassis and a fake engine."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc.aio
import numpy as np
import pytest

from groundmesh.channel import open_channel, translated
from groundmesh.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh.testing import running
from groundmesh.v1.common_pb2 import (
    PRIORITY_INTERACTIVE,
    VECTOR_DTYPE_F16,
    VECTOR_DTYPE_F32,
    Vectors,
)
from groundmesh.v1.embedder_pb2 import (
    INPUT_KIND_PASSAGE,
    INPUT_KIND_QUERY,
    POOLING_MEAN,
    EmbedderServiceGetTokenizerRequest,
    EmbedderServiceListModelsRequest,
    EmbedRequest,
    EmbedStreamRequest,
    EmbedStreamResponse,
    RerankRequest,
)
from groundmesh.v1.embedder_pb2_grpc import EmbedderServiceStub
from groundmesh_embedder.core import Embedder, EmbedderOptions
from groundmesh_embedder.servicer import embedder_service
from tests.fakes.embedding import POISON, FakeEmbeddingBackend
from tests.waiting import until

DTYPES = {VECTOR_DTYPE_F32: "<f4", VECTOR_DTYPE_F16: "<f2"}


def request(*texts: str, **fields: Any) -> EmbedRequest:
    return EmbedRequest(texts=texts, **{"kind": INPUT_KIND_PASSAGE, **fields})


def numbers(vectors: Vectors) -> np.ndarray[Any, Any]:
    flat = np.frombuffer(vectors.data, dtype=DTYPES[vectors.dtype])
    return flat.reshape(vectors.rows, vectors.dimension)


@dataclass
class Bench:
    """A served embedder and what stands at both ends of it."""

    backend: FakeEmbeddingBackend
    embedder: Embedder
    channel: grpc.aio.Channel

    def __post_init__(self) -> None:
        self.stub = EmbedderServiceStub(self.channel)

    async def call(self, method: str, message: Any, **options: Any) -> Any:
        with translated("embedder"):
            return await getattr(self.stub, method)(message, **options)

    def load(self, name: str) -> float:
        return self.embedder.describe().load[name]


Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def serve(backend: FakeEmbeddingBackend | None = None, **options: Any) -> Bench:
            backend = backend or FakeEmbeddingBackend()
            chosen = EmbedderOptions(**{"model": "tiny", "reranker": "judge", **options})
            embedder = Embedder("fake", lambda: backend, chosen)
            service = embedder_service(embedder, stream_in_flight=4)
            server = await stack.enter_async_context(running(service))
            channel = await stack.enter_async_context(open_channel(server.address))
            stack.callback(backend.release)
            return Bench(backend, embedder, channel)

        yield serve


@pytest.fixture
async def bench(serve: Serve) -> Bench:
    bench: Bench = await serve()
    return bench


async def test_vectors_travel_as_bytes(bench: Bench) -> None:
    answer = await bench.call("Embed", request("one", "two words", "one"))
    assert (answer.vectors.rows, answer.vectors.dimension) == (3, 64)
    assert answer.vectors.dtype == VECTOR_DTYPE_F32
    rows = numbers(answer.vectors)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    assert np.array_equal(rows[0], rows[2])
    assert [(item.tokens, item.truncated) for item in answer.items] == [
        (3, False),
        (4, False),
        (3, False),
    ]
    assert (answer.model, answer.revision) == ("tiny", "fake-1")
    assert answer.compute_duration.ToNanoseconds() > 0


async def test_half_precision_is_half_the_bytes(bench: Bench) -> None:
    full = await bench.call("Embed", request("some words"))
    half = await bench.call("Embed", request("some words", dtype=VECTOR_DTYPE_F16))
    assert len(half.vectors.data) * 2 == len(full.vectors.data)
    assert np.allclose(numbers(half.vectors), numbers(full.vectors), atol=1e-3)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"texts": []}, "texts"),
        ({"texts": ["a", ""]}, "texts[1]"),
        ({"texts": ["a"] * 1025}, "texts"),
        ({"texts": ["a" * 131_073]}, "texts[0]"),
        ({"texts": ["a"], "kind": 0}, "kind"),
        ({"texts": ["a"], "kind": 99}, "kind"),
        ({"texts": ["a"], "dtype": 99}, "dtype"),
        ({"texts": ["a"], "priority": -1}, "priority"),
        ({"texts": ["word " * 50], "strict": True}, "texts[0]"),
    ],
)
async def test_a_wrong_field_is_named(bench: Bench, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await bench.call("Embed", EmbedRequest(**{"kind": INPUT_KIND_QUERY, **fields}))
    assert refused.value.fields[0].field == field


async def test_strict_mode_has_a_reason_of_its_own(bench: Bench) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await bench.call("Embed", request("word " * 50, strict=True))
    assert refused.value.reason is Reason.INPUT_TOO_LONG


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("Embed", request("a", model="other")),
        ("Rerank", RerankRequest(model="other", query="a", passages=["b"])),
        ("GetTokenizer", EmbedderServiceGetTokenizerRequest(model="other")),
    ],
)
async def test_an_unknown_model_is_not_found(bench: Bench, method: str, message: Any) -> None:
    with pytest.raises(NotFound) as refused:
        await bench.call(method, message)
    assert refused.value.reason is Reason.MODEL_NOT_FOUND


async def test_reranks_in_the_order_of_the_request(bench: Bench) -> None:
    passages = ["blue fox", "red fox", "hen", "fox " * 100]
    answer = await bench.call("Rerank", RerankRequest(query="red fox", passages=passages))
    assert [round(item.score, 2) for item in answer.items] == [0.5, 1.0, 0.0, 0.5]
    assert [item.truncated for item in answer.items] == [False, False, False, True]
    assert answer.model == "judge"


async def test_reranking_without_a_cross_encoder(serve: Serve) -> None:
    bench: Bench = await serve(reranker=None)
    with pytest.raises(FailedPrecondition) as refused:
        await bench.call("Rerank", RerankRequest(query="a", passages=["b"]))
    assert refused.value.reason is Reason.RERANKER_NOT_CONFIGURED
    models = await bench.call("ListModels", EmbedderServiceListModelsRequest())
    assert not models.reranker_models


async def test_lists_all_that_a_collection_records(bench: Bench) -> None:
    models = await bench.call("ListModels", EmbedderServiceListModelsRequest())
    (model,) = models.embedding_models
    assert (model.model, model.revision, model.dimension) == ("tiny", "fake-1", 64)
    assert (model.max_input_tokens, model.pooling, model.normalized) == (32, POOLING_MEAN, True)
    assert model.compute_dtype == "float32"
    assert [reranker.model for reranker in models.reranker_models] == ["judge"]


async def test_hands_out_the_tokenizer(bench: Bench) -> None:
    handed = await bench.call("GetTokenizer", EmbedderServiceGetTokenizerRequest())
    assert handed.sha256 == hashlib.sha256(handed.tokenizer_json).hexdigest()
    assert handed.max_input_tokens == 32


async def stream(bench: Bench, *requests: EmbedRequest) -> dict[int, EmbedStreamResponse]:
    async def sent() -> AsyncIterator[EmbedStreamRequest]:
        for sequence, each in enumerate(requests):
            yield EmbedStreamRequest(sequence=sequence, request=each)

    with translated("embedder"):
        return {answer.sequence: answer async for answer in bench.stub.EmbedStream(sent())}


async def test_a_bulk_stream_answers_each_request_by_its_number(bench: Bench) -> None:
    answers = await stream(bench, *(request(*[f"text {n}"] * (n + 1)) for n in range(40)))
    assert [answers[n].response.vectors.rows for n in range(40)] == list(range(1, 41))


async def test_a_bad_request_gets_its_own_status_and_the_stream_goes_on(bench: Bench) -> None:
    answers = await stream(
        bench, request("a"), request(""), request("b", model="other"), EmbedRequest(), request("c")
    )
    codes = [answers[n].error.code if answers[n].HasField("error") else 0 for n in range(5)]
    assert codes == [0, 3, 5, 3, 0]
    assert "texts[0]" in answers[1].error.message


async def test_a_failed_batch_fails_its_request_only(bench: Bench) -> None:
    answers = await stream(bench, request(POISON))
    assert answers[0].error.code == 13
    answers = await stream(bench, request("fine"))
    assert answers[0].HasField("response")


async def test_a_stream_is_read_no_further_than_it_is_worked_on(bench: Bench) -> None:
    bench.backend.hold()
    read = 0

    async def sent() -> AsyncIterator[EmbedStreamRequest]:
        nonlocal read
        for read in range(1000):
            yield EmbedStreamRequest(sequence=read, request=request("word " * 20_000))

    answers = bench.stub.EmbedStream(sent())
    await until(lambda: bench.load("running_tokens"))
    await asyncio.sleep(0.3)
    assert bench.load("queued_texts") <= 4
    assert read < 200  # 4 in work; the rest of these 20 MB lies in the connection's buffers
    bench.backend.release()
    answers.cancel()
    await until(lambda: not bench.load("queued_texts"))


async def test_a_full_queue_refuses_calls_and_slows_streams(serve: Serve) -> None:
    bench: Bench = await serve(max_queued_items=4)
    bench.backend.hold()
    first = asyncio.create_task(bench.call("Embed", request("a")))
    await until(lambda: bench.load("running_tokens"))
    full = asyncio.create_task(bench.call("Embed", request(*"bcde")))
    await until(lambda: bench.load("queued_texts") == 4)
    bulk = asyncio.create_task(stream(bench, request("f"), request("g")))
    with pytest.raises(ResourceExhausted) as refused:
        await bench.call("Embed", request("h"))
    assert refused.value.reason is Reason.OVERLOADED
    assert refused.value.retry_after_s
    bench.backend.release()
    await asyncio.gather(first, full)
    assert [answer.HasField("response") for answer in (await bulk).values()] == [True, True]


async def test_a_question_does_not_wait_for_a_flood_of_bulk(serve: Serve) -> None:
    backend = FakeEmbeddingBackend(delay_s=0.02, batch_tokens=64)
    bench: Bench = await serve(backend)
    flood = asyncio.create_task(stream(bench, *[request(*["word " * 20] * 200)] * 8))
    huge = asyncio.create_task(bench.call("Embed", request(*["word " * 20] * 400)))
    await until(lambda: bench.load("queued_texts") > 1000)
    for _ in range(10):
        answer = await bench.call("Embed", request("why?", kind=INPUT_KIND_QUERY), timeout=2)
        assert answer.queue_duration.ToNanoseconds() < 1e9
    assert not huge.done()
    for task in (flood, huge):
        task.cancel()
        await asyncio.wait([task])
    await until(lambda: not bench.load("queued_texts"))


async def test_what_a_caller_left_is_never_run(bench: Bench) -> None:
    bench.backend.hold()
    first = asyncio.create_task(bench.call("Embed", request("a")))
    await until(lambda: bench.load("running_tokens"))
    gone = bench.stub.Embed(request("left alone"))
    late = asyncio.create_task(bench.call("Embed", request("too late"), timeout=0.2))
    await until(lambda: bench.load("queued_texts") == 2)
    gone.cancel()
    with pytest.raises(DeadlineExceeded):
        await late
    await until(lambda: not bench.load("queued_texts"))
    before = len(bench.backend.batches)
    bench.backend.release()
    await first
    assert len(bench.backend.batches) == before


async def test_interactive_requests_of_a_stream_go_first_when_they_say_so(bench: Bench) -> None:
    bench.backend.hold()
    first = asyncio.create_task(bench.call("Embed", request("a")))
    await until(lambda: bench.load("running_tokens"))
    bulk = asyncio.create_task(stream(bench, *[request(*["word " * 30] * 100)] * 3))
    await until(lambda: bench.load("queued_texts") == 300)
    quick = asyncio.create_task(stream(bench, request("now", priority=PRIORITY_INTERACTIVE)))
    await until(lambda: bench.load("queued_texts") == 301)
    bench.backend.release()
    await quick
    assert not bulk.done()
    await asyncio.gather(first, bulk)


async def test_those_who_wait_when_the_server_drains_are_told(serve: Serve) -> None:
    backend = FakeEmbeddingBackend()
    embedder = Embedder("fake", lambda: backend, EmbedderOptions(model="tiny", stop_timeout_s=0.2))
    service = embedder_service(embedder, stream_in_flight=4)
    async with AsyncExitStack() as outer:
        async with running(service, drain_grace_s=0.2) as server:
            channel = await outer.enter_async_context(open_channel(server.address))
            backend.hold()
            call = EmbedderServiceStub(channel).Embed(request("never"))
            await until(lambda: embedder.describe().load["running_tokens"])
        with pytest.raises(Unavailable), translated("embedder"):
            await call
    backend.release()
