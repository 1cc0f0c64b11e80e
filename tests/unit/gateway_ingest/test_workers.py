"""Documents in worker processes: real ones, really killed."""

import asyncio
import hashlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from groundmesh.errors import InvalidArgument, MeshError, Reason, ResourceExhausted, Unavailable
from groundmesh_gateway.parsing.document import Place
from groundmesh_gateway.preparing import Job, Prepared
from groundmesh_gateway.splitting import Splitting
from groundmesh_gateway.workers import TokenizerFile, WorkerLimits, WorkerPool
from tests import hostile_parser, tokenizer_files
from tests.documents_by_hand import compressed, pdf
from tests.waiting import until

LIMITS = WorkerLimits(
    timeout_s=20, timeout_per_mib_s=1, memory_bytes=256 << 20, max_text_bytes=1 << 20
)


def tokenizer_file(json: bytes) -> TokenizerFile:
    return TokenizerFile(json, hashlib.sha256(json).hexdigest())


WORDPIECE = tokenizer_file(tokenizer_files.wordpiece())
BYTES = tokenizer_file(tokenizer_files.byte_level())

MakePool = Callable[..., WorkerPool]


@pytest.fixture
async def make_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakePool]:
    monkeypatch.setenv("PYTHONPATH", hostile_parser.injected_into(tmp_path))
    async with AsyncExitStack() as stack:

        def make(size: int = 1, **limits: float) -> WorkerPool:
            pool = WorkerPool(size, WorkerLimits(**{**vars(LIMITS), **limits}))
            stack.push_async_callback(pool.close)
            return pool

        yield make
    assert children() == []


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children()]


def job(uri: str = "a.md", media_type: str = "", **changes: object) -> Job:
    fields = {
        "title": "",
        "splitting": Splitting(24, 4),
        "passage_prompt": "",
        "model_tokens": 24,
        "max_text_bytes": 1 << 20,
        **changes,
    }
    return Job(uri=uri, media_type=media_type, **fields)  # type: ignore[arg-type]


async def order(pool: WorkerPool, what: str, **changes: object) -> Prepared:
    """Give the hostile parser an order."""
    hostile = job("x", hostile_parser.MEDIA_TYPE, **changes)
    return await pool.prepare(hostile, what.encode(), WORDPIECE)


async def failure(pool: WorkerPool, what: str) -> MeshError:
    with pytest.raises(MeshError) as caught:
        await order(pool, what)
    return caught.value


async def test_a_document_becomes_text_and_chunks(make_pool: MakePool) -> None:
    text = "# Überblick\n\nWörter über Wörter.\n\n## Später\n\nMehr 😀 davon, und noch mehr."
    prepared = await make_pool().prepare(job(), text.encode(), WORDPIECE)
    assert prepared.text.decode() == text
    assert (prepared.title, prepared.media_type) == ("Überblick", "text/markdown")
    chunks = list(prepared.chunks())
    assert [chunk.ordinal for chunk in chunks] == list(range(prepared.chunk_count))
    assert all(prepared.passage_of(chunk).strip() for chunk in chunks)
    assert chunks[0].place == Place(heading_path=("Überblick",))
    assert chunks[-1].place == Place(heading_path=("Überblick", "Später"))
    assert prepared.text[chunks[-1].end_byte :] == b""
    assert all(0 < chunk.tokens <= 24 for chunk in chunks)


async def test_a_worker_is_used_again_with_whatever_tokenizer(make_pool: MakePool) -> None:
    pool = make_pool()
    counts = []
    for tokenizer in (WORDPIECE, WORDPIECE, BYTES, WORDPIECE):
        prepared = await pool.prepare(job(), "ä b c d".encode(), tokenizer)
        counts.append(next(prepared.chunks()).tokens)
        assert len(children()) == 1
    assert counts == [6, 6, 8, 6]


async def test_the_prompt_of_the_model_takes_its_room(make_pool: MakePool) -> None:
    prompted = job(passage_prompt="passage:", model_tokens=24)
    text = b"aaaa bbbb cccc dddd eeee ffff"
    prepared = await make_pool().prepare(prompted, text, WORDPIECE)
    assert max(chunk.tokens for chunk in prepared.chunks()) <= 24 - len("passage:")


async def test_a_collection_with_no_room_for_text_is_the_callers_fault(make_pool: MakePool) -> None:
    with pytest.raises(InvalidArgument, match="no room"):
        await make_pool().prepare(job(splitting=Splitting(2, 0)), b"text", WORDPIECE)


@pytest.mark.parametrize("what", ["exit", "segfault", "abort", "raise", "recurse", "lie"])
async def test_a_crash_costs_one_document(make_pool: MakePool, what: str) -> None:
    pool = make_pool(2)
    slow = asyncio.create_task(order(pool, "hang"))
    await until(lambda: pool.busy == 1)
    error = await failure(pool, what)
    assert isinstance(error, InvalidArgument)
    assert error.reason is Reason.PARSER_CRASHED
    assert (await order(pool, "well")).text == b"well"
    assert slow.cancel()
    await asyncio.wait([slow])


@pytest.mark.parametrize("what", ["hang", "spin"])
async def test_a_hang_costs_one_document_and_its_worker(make_pool: MakePool, what: str) -> None:
    pool = make_pool(timeout_s=1.0)
    assert (await order(pool, "well")).text == b"well"
    (worker,) = children()
    error = await failure(pool, what)
    assert isinstance(error, ResourceExhausted)
    assert error.reason is Reason.PARSER_TIMED_OUT
    assert not psutil.pid_exists(worker)
    assert (await order(pool, "well")).text == b"well"


async def test_want_of_memory_costs_one_document(make_pool: MakePool) -> None:
    pool = make_pool()
    error = await failure(pool, "memory")
    assert isinstance(error, ResourceExhausted)
    assert error.reason is Reason.PARSER_OUT_OF_MEMORY
    assert (await order(pool, "well")).text == b"well"


async def test_a_decompression_bomb_is_want_of_memory(make_pool: MakePool) -> None:
    # The library aborts when it is refused memory: a death like any other, but for its growth.
    bomb = pdf(content=compressed(b"BT /F1 12 Tf 72 700 Td (boom) Tj ET\n" * 1000, 4000))
    assert len(bomb) < 1 << 20
    with pytest.raises(ResourceExhausted) as caught:
        await make_pool(memory_bytes=128 << 20).prepare(job("a.pdf"), bomb, WORDPIECE)
    assert caught.value.reason is Reason.PARSER_OUT_OF_MEMORY


async def test_no_bytecode_is_written(make_pool: MakePool) -> None:
    # Seen: cut off by the limit on files, it broke the PDF library for every process to come.
    assert (await order(make_pool(), "bytecode")).text == b"not written"


async def test_too_much_text_is_refused(make_pool: MakePool) -> None:
    error = await failure(make_pool(), "flood")
    assert isinstance(error, ResourceExhausted)
    assert error.reason is Reason.DOCUMENT_TOO_LARGE


async def test_what_a_parser_prints_is_no_answer(make_pool: MakePool) -> None:
    assert (await order(make_pool(), "print")).text == b"print"


async def test_a_worker_knows_no_secrets_and_fills_no_disk(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDMESH_GATEWAY_SECRET", "hush")
    pool = make_pool()
    assert b"SECRET" not in (await order(pool, "environment")).text
    assert (await order(pool, "write")).text.startswith(b"OSError")


async def test_there_are_never_more_workers_than_asked_for(make_pool: MakePool) -> None:
    pool = make_pool(2)
    most = 0
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(order(pool, f"document {n}")) for n in range(20)]
        while not all(task.done() for task in tasks):
            most = max(most, len(children()))
            await asyncio.sleep(0.01)
    assert most == 2
    assert pool.busy == pool.waiting == 0


async def test_cancelling_kills_the_worker(make_pool: MakePool) -> None:
    pool = make_pool()
    task = asyncio.create_task(order(pool, "hang"))
    await until(lambda: pool.busy == 1 and children())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == []
    assert (await order(pool, "well")).text == b"well"


async def test_a_worker_that_was_killed_while_idle_costs_no_document(make_pool: MakePool) -> None:
    pool = make_pool()
    await order(pool, "well")
    os.kill(children()[0], signal.SIGKILL)
    assert (await order(pool, "well")).text == b"well"


async def test_a_worker_is_replaced_after_its_share_of_jobs(make_pool: MakePool) -> None:
    pool = make_pool(jobs_per_worker=2)
    await order(pool, "well")
    (first,) = children()
    await order(pool, "well")
    await order(pool, "well")
    assert children() != [first]


async def test_a_closed_pool_takes_nothing(make_pool: MakePool) -> None:
    pool = make_pool()
    await order(pool, "well")
    await pool.close()
    assert children() == []
    with pytest.raises(Unavailable):
        await order(pool, "well")


async def test_no_worker_to_be_had_is_said(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Unavailable, match="parse worker"):
        await order(pool, "well")
    pool.check()  # once is no reason to end the gateway
    for _ in range(2):
        with pytest.raises(Unavailable, match="parse worker"):
            await order(pool, "well")
    with pytest.raises(Unavailable, match="parse worker"):
        pool.check()
    monkeypatch.undo()
    await pool.prepare(job(), b"well", WORDPIECE)
    pool.check()


async def test_a_large_document_does_not_hold_up_the_loop(make_pool: MakePool) -> None:
    pool = make_pool(timeout_s=120, memory_bytes=1 << 30, max_text_bytes=64 << 20)
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            # Of this thread's own time, so that a busy machine does not count.
            before = time.thread_time()
            await asyncio.sleep(0.002)
            longest = max(longest, time.thread_time() - before)

    data = b"\x89PNG" + bytes(64 << 20)
    text = b"a lot of text " * (150 << 10)
    large = job(splitting=Splitting(512, 0), model_tokens=512, max_text_bytes=64 << 20)
    await pool.prepare(large, b"warm", WORDPIECE)
    watching = asyncio.create_task(watch())
    with pytest.raises(MeshError):
        await pool.prepare(job("a.png"), data, WORDPIECE)
    prepared = await pool.prepare(large, text, WORDPIECE)
    watching.cancel()
    assert prepared.text == text
    assert longest < 0.05


async def test_workers_die_with_their_gateway(make_pool: MakePool, tmp_path: Path) -> None:
    script = tmp_path / "gateway.py"
    script.write_text(
        "import asyncio\n"
        "from tests.unit.gateway_ingest.test_workers import LIMITS, WorkerPool, order\n"
        "asyncio.run(order(WorkerPool(1, LIMITS), 'spin'))\n",
        encoding="utf-8",
    )
    gateway = await asyncio.create_subprocess_exec(sys.executable, str(script))
    try:
        of_gateway = psutil.Process(gateway.pid).children
        await until(of_gateway)
        (worker,) = of_gateway()
        await until(lambda: worker.cpu_times().user > 1.0, within_s=30)  # it spins
    finally:
        gateway.kill()
        await gateway.wait()
    await until(lambda: not worker.is_running(), within_s=5)
