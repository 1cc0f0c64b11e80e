"""The embedder over a fake engine, without a server."""

import asyncio
import gc
import hashlib
import threading
import time
from collections.abc import AsyncIterator

import numpy as np
import psutil
import pytest
from tokenizers import Tokenizer

from groundmesh.errors import (
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    Reason,
    Unavailable,
)
from groundmesh_embedder.backends.base import Backend, InputKind
from groundmesh_embedder.core import Embedder, EmbedderOptions
from groundmesh_embedder.texts import TextLimits
from tests.fakes.embedding import POISON, FakeEmbeddingBackend
from tests.waiting import until

QUERY = InputKind.QUERY
OPTIONS = EmbedderOptions(model="tiny", reranker="judge")


def embedder_of(backend: Backend, options: EmbedderOptions = OPTIONS) -> Embedder:
    return Embedder("fake", lambda: backend, options)


@pytest.fixture
def backend() -> FakeEmbeddingBackend:
    return FakeEmbeddingBackend()


@pytest.fixture
async def embedder(backend: FakeEmbeddingBackend) -> AsyncIterator[Embedder]:
    embedder = embedder_of(backend)
    await embedder.start()
    yield embedder
    backend.release()
    await embedder.stop()


async def test_gives_a_vector_for_each_text_in_order(embedder: Embedder) -> None:
    texts = ["the cat sat", "dogs bark", "the cat sat"]
    answer = await embedder.embed(texts, QUERY)
    vectors = answer.outcome.rows
    assert vectors.shape == (3, 64)
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.allclose(vectors[0], vectors[1])
    assert [text.tokens for text in answer.inputs] == [5, 4, 5]
    assert answer.model.name == "tiny"


async def test_says_what_was_cut_off_and_refuses_it_in_strict_mode(embedder: Embedder) -> None:
    texts = ["short", "word " * 100]
    answer = await embedder.embed(texts, QUERY)
    assert [(text.tokens, text.truncated) for text in answer.inputs] == [(3, False), (102, True)]
    with pytest.raises(InvalidArgument) as refused:
        await embedder.embed(texts, QUERY, strict=True)
    assert refused.value.reason is Reason.INPUT_TOO_LONG
    assert [each.field for each in refused.value.fields] == ["texts[1]"]


async def test_scores_passages_in_the_order_of_the_request(embedder: Embedder) -> None:
    answer = await embedder.rerank("a red fox", ["a blue fox", "a red fox runs", "nothing"])
    assert np.allclose(answer.outcome.rows, [0.667, 1.0, 0.0])


@pytest.mark.parametrize("model", ["other", "TINY"])
async def test_knows_only_the_model_it_serves(embedder: Embedder, model: str) -> None:
    for call in (
        embedder.embed(["a"], QUERY, model=model),
        embedder.rerank("a", ["b"], model=model),
    ):
        with pytest.raises(NotFound) as refused:
            await call
        assert refused.value.reason is Reason.MODEL_NOT_FOUND
    with pytest.raises(NotFound):
        embedder.tokenizer(model)
    assert (await embedder.embed(["a"], QUERY, model="tiny")).model.name == "tiny"


async def test_without_a_cross_encoder_says_how_to_get_one(backend: FakeEmbeddingBackend) -> None:
    embedder = embedder_of(backend, EmbedderOptions(model="tiny"))
    await embedder.start()
    with pytest.raises(FailedPrecondition) as refused:
        await embedder.rerank("a", ["b"])
    assert refused.value.reason is Reason.RERANKER_NOT_CONFIGURED
    assert embedder.rerankers() == ()
    await embedder.stop()


@pytest.mark.parametrize(
    ("query", "passages", "field"),
    [("", ["a"], "query"), ("a", [], "passages"), ("a", ["b", " "], "passages[1]")],
)
async def test_names_the_wrong_field_of_a_rerank(
    embedder: Embedder, query: str, passages: list[str], field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await embedder.rerank(query, passages)
    assert refused.value.fields[0].field == field


async def test_takes_no_more_texts_than_their_vectors_fit_an_answer(
    backend: FakeEmbeddingBackend,
) -> None:
    options = EmbedderOptions(model="tiny", limits=TextLimits(max_texts=100), max_answer_bytes=1024)
    embedder = embedder_of(backend, options)
    await embedder.start()
    await embedder.embed(["a"] * 4, QUERY)
    with pytest.raises(InvalidArgument, match="at most 4"):
        await embedder.embed(["a"] * 5, QUERY)
    await embedder.stop()


async def test_the_tokenizer_it_hands_out_counts_as_it_does(embedder: Embedder) -> None:
    handed = embedder.tokenizer()
    assert handed.sha256 == hashlib.sha256(handed.json).hexdigest()
    text = "one two  three\nfour"
    answer = await embedder.embed([text], QUERY)
    assert len(Tokenizer.from_str(handed.json.decode()).encode(text).ids) == answer.inputs[0].tokens


async def test_a_poisoned_batch_is_a_typed_error_and_the_next_one_runs(embedder: Embedder) -> None:
    with pytest.raises(Internal):
        await embedder.embed([POISON], QUERY)
    assert (await embedder.embed(["fine"], QUERY)).outcome.rows.shape == (1, 64)


async def test_is_not_ready_before_it_has_answered(backend: FakeEmbeddingBackend) -> None:
    embedder = embedder_of(backend)
    assert embedder.describe().models == ()
    with pytest.raises(Unavailable) as refused:
        await embedder.embed(["a"], QUERY)
    assert refused.value.reason is Reason.NOT_READY
    backend.hold()
    starting = asyncio.create_task(embedder.start())
    await until(lambda: backend.batches)
    assert not starting.done()
    backend.release()
    await starting
    assert embedder.describe().models == ("tiny", "judge")
    await embedder.stop()


async def test_a_model_that_cannot_be_loaded_is_said_plainly() -> None:
    def no_backend() -> Backend:
        raise OSError("no such weights")

    embedder = Embedder("fake", no_backend, OPTIONS)
    with pytest.raises(Unavailable, match="no such weights"):
        await embedder.start()
    await embedder.stop()


async def test_a_model_that_loads_for_too_long_is_given_up(backend: FakeEmbeddingBackend) -> None:
    options = EmbedderOptions(model="tiny", start_timeout_s=0.1, stop_timeout_s=0.1)
    embedder = embedder_of(backend, options)
    backend.hold()
    with pytest.raises(Unavailable, match=r"within 0\.1 s"):
        await embedder.start()
    await embedder.stop()
    backend.release()


async def test_describes_its_load(embedder: Embedder, backend: FakeEmbeddingBackend) -> None:
    backend.hold()
    running = asyncio.create_task(embedder.embed(["one two three"], QUERY))
    await until(lambda: embedder.describe().load["running_tokens"])
    waiting = asyncio.create_task(embedder.embed(["four five", "six"], QUERY))
    await until(lambda: embedder.describe().load["queued_texts"])
    load = embedder.describe().load
    assert load == {"queued_texts": 2.0, "queued_tokens": 7.0, "running_tokens": 5.0}
    backend.release()
    await asyncio.gather(running, waiting)
    assert set(embedder.describe().load.values()) == {0.0}


async def test_check_finds_a_stuck_model(backend: FakeEmbeddingBackend) -> None:
    embedder = embedder_of(backend, EmbedderOptions(model="tiny", stuck_after_s=0.05))
    await embedder.start()
    await embedder.check()
    backend.hold()
    stuck = asyncio.create_task(embedder.embed(["a"], QUERY))
    await asyncio.sleep(0.2)
    with pytest.raises(Unavailable) as found:
        await embedder.check()
    assert found.value.reason is Reason.ENGINE_DEAD
    backend.release()
    await stuck
    await until(lambda: not embedder._worker.busy_s)
    await embedder.check()
    await embedder.stop()


async def test_stops_in_bounded_time_with_a_stuck_model(backend: FakeEmbeddingBackend) -> None:
    embedder = embedder_of(backend, EmbedderOptions(model="tiny", stop_timeout_s=0.1))
    await embedder.start()
    backend.hold()
    stuck = asyncio.create_task(embedder.embed(["a"], QUERY))
    await until(lambda: len(backend.batches) == 2)
    since = time.monotonic()
    await embedder.stop()
    await embedder.stop()
    assert time.monotonic() - since < 5
    with pytest.raises(Unavailable):
        await stuck
    backend.release()


async def test_the_event_loop_is_never_blocked(embedder: Embedder) -> None:
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            since = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - since)

    beating = asyncio.create_task(beat())
    await embedder.embed(["some words to embed " * 5] * 1024, QUERY)
    beating.cancel()
    assert longest < 1.0  # tens of ms where the machine is quiet, a second where it is not


async def test_memory_and_threads_are_flat_under_cancelled_calls(
    embedder: Embedder, backend: FakeEmbeddingBackend
) -> None:
    async def leave(number: int) -> None:
        texts = [f"text number {number} {'word ' * 20}"] * 20
        task = asyncio.create_task(embedder.embed(texts, QUERY))
        await asyncio.sleep(number % 7 * 0.0005)
        task.cancel()
        await asyncio.wait([task])

    async def thousand() -> int:
        for start in range(0, 1000, 50):
            await asyncio.gather(*(leave(start + offset) for offset in range(50)))
        await until(lambda: not any(embedder.describe().load.values()))
        backend.batches.clear()
        gc.collect()
        return int(psutil.Process().memory_info().rss)

    first = await thousand()
    threads, tasks = threading.active_count(), len(asyncio.all_tasks())
    second = await thousand()
    assert threading.active_count() == threads
    assert len(asyncio.all_tasks()) == tasks
    assert second - first < 16 * 1024 * 1024


async def test_serves_several_models(backend: FakeEmbeddingBackend) -> None:
    options = EmbedderOptions(model="tiny", more_models=("other",))
    embedder = embedder_of(backend, options)
    await embedder.start()
    assert [info.name for info in embedder.embedding_models()] == ["tiny", "other"]
    for asked, given in (("", "tiny"), ("tiny", "tiny"), ("other", "other")):
        answer = await embedder.embed(["a"], QUERY, model=asked)
        assert answer.model.name == given
        assert embedder.tokenizer(asked).model.name == given
    with pytest.raises(NotFound, match="'tiny', 'other' are"):
        await embedder.embed(["a"], QUERY, model="third")
    backend.release()
    await embedder.stop()
