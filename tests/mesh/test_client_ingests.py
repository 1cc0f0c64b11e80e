"""The client's ingestion, against a fake gateway behind the production chassis."""

import asyncio
import errno
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from groundmesh.client import (
    Client,
    DocumentIngested,
    IndexSettings,
    IngestEvent,
    IngestProgress,
    Outcome,
    Upload,
)
from groundmesh.client.ingestion import PART_BYTES
from groundmesh.errors import DeadlineExceeded, InvalidArgument, NotFound, Reason
from groundmesh.names import document_id
from groundmesh.testing import running
from tests.fakes.gateway import Memory, gateway_service
from tests.waiting import until

DOCS = "tenants/default/collections/docs"
MEBIBYTE = 1024 * 1024


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def mesh(memory: Memory) -> AsyncIterator[Client]:
    async with running(gateway_service(memory)) as server, Client(server.address) as client:
        yield client


def documents(events: list[IngestEvent]) -> dict[str, DocumentIngested]:
    return {event.uri: event for event in events if isinstance(event, DocumentIngested)}


async def test_files_arrive_whole_under_their_uris(
    mesh: Client, memory: Memory, tmp_path: Path
) -> None:
    contents = {
        "small.txt": b"hello",
        "three parts.bin": b"x" * (2 * PART_BYTES + 5),
        "name with % and ü.md": "grüße".encode(),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in contents]
    events = [event async for event in mesh.ingest(paths, collection="docs")]
    assert isinstance(events[-1], IngestProgress)
    assert events[-1].documents_done == 3
    assert events[-1].bytes_read == sum(map(len, contents.values()))
    assert {each.outcome for each in documents(events).values()} == {Outcome.INDEXED}
    for name, content in contents.items():
        uri = (tmp_path / name).as_uri()
        assert memory.texts[f"{DOCS}/documents/{document_id(uri)}"] == content


async def test_what_is_known_of_a_document_travels(mesh: Client, memory: Memory) -> None:
    upload = Upload(
        "https://example.com/a",
        b"text",
        media_type="text/plain",
        title="A",
        reader_labels=("staff",),
        metadata={"year": 2024, "draft": False, "lang": "en"},
    )
    [event, _] = [event async for event in mesh.ingest([upload], collection="docs")]
    assert isinstance(event, DocumentIngested)
    document = await mesh.documents.get(event.name)
    assert (document.title, document.media_type) == ("A", "text/plain")
    assert document.reader_labels == ("staff",)
    assert document.metadata == {"year": 2024, "draft": False, "lang": "en"}


async def test_again_is_unchanged_and_new_bytes_replace(mesh: Client) -> None:
    outcomes = []
    for content in (b"one", b"one", b"two"):
        events = [e async for e in mesh.ingest([Upload("a:b", content)], collection="docs")]
        outcomes.append(documents(events)["a:b"].outcome)
    assert outcomes == [Outcome.INDEXED, Outcome.UNCHANGED, Outcome.REPLACED]


async def test_one_bad_document_stops_no_other(mesh: Client, tmp_path: Path) -> None:
    good = tmp_path / "good.txt"
    good.write_text("good")
    empty = tmp_path / "empty.txt"
    empty.touch()
    gone = tmp_path / "gone.txt"
    paths = [empty, gone, tmp_path, good]
    events = documents([event async for event in mesh.ingest(paths, collection="docs")])
    outcomes = {uri: event.outcome for uri, event in events.items()}
    failed = [empty.as_uri(), gone.as_uri(), tmp_path.as_uri()]
    assert outcomes == {good.as_uri(): Outcome.INDEXED, **dict.fromkeys(failed, Outcome.FAILED)}
    reasons = {uri: event.error for uri, event in events.items() if event.error is not None}
    assert reasons[empty.as_uri()].reason is Reason.DOCUMENT_EMPTY
    assert "No such file" in reasons[gone.as_uri()].message
    assert "Is a directory" in reasons[tmp_path.as_uri()].message


class Torn(Upload):
    """Its disk fails in the middle."""

    async def parts(self) -> AsyncGenerator[bytes, None]:
        yield b"half of it"
        raise OSError(errno.EIO, "Input/output error")


async def test_a_file_that_breaks_off_is_given_up_alone(mesh: Client, memory: Memory) -> None:
    uploads = [Upload("a:1", b"one"), Torn("a:torn", b""), Upload("a:2", b"two")]
    events = [event async for event in mesh.ingest(uploads, collection="docs")]
    assert [event.uri for event in events if isinstance(event, DocumentIngested)] == [
        "a:1",
        "a:torn",
        "a:2",
    ]
    torn = documents(events)["a:torn"]
    assert torn.outcome is Outcome.FAILED
    assert torn.error is not None
    assert torn.error.message == "the file can't be read: Input/output error"
    assert sorted(memory.texts.values()) == [b"one", b"two"]


async def test_only_what_was_given_up_is_told_so(mesh: Client) -> None:
    uploads = [Upload("a:1", b"one"), Torn("a:1", b"")]
    events = [event async for event in mesh.ingest(uploads, collection="docs")]
    outcomes = [event.outcome for event in events if isinstance(event, DocumentIngested)]
    assert outcomes == [Outcome.INDEXED, Outcome.FAILED]


async def test_nothing_to_send_is_nothing_sent(mesh: Client) -> None:
    events = [event async for event in mesh.ingest([], collection="docs")]
    assert not documents(events)


async def test_only_unreadable_files_are_told_too(mesh: Client, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    events = [event async for event in mesh.ingest([gone], collection="docs")]
    assert documents(events)[gone.as_uri()].outcome is Outcome.FAILED


async def test_the_collection_and_its_settings_are_named(mesh: Client, memory: Memory) -> None:
    settings = IndexSettings(max_tokens=100, overlap_tokens=0, language="de")
    async for _ in mesh.ingest([Upload("a:b", b"x")], collection="docs", index=settings):
        pass
    begin = memory.requests[0]
    assert begin.parent == DOCS
    assert begin.create_collection
    assert begin.index.splitting.max_tokens == 100
    assert begin.index.splitting.HasField("overlap_tokens")
    assert begin.index.analysis.language == "de"


async def test_an_error_of_the_stream_is_raised(mesh: Client) -> None:
    def endless() -> Iterator[Upload]:
        number = 0
        while True:
            yield Upload(f"a:{number}", b"x" * 1000)
            number += 1

    with pytest.raises(NotFound):
        async for _ in mesh.ingest(endless(), collection="other", create=False):
            pass


async def test_an_error_of_the_callers_own_is_raised_as_it_is(mesh: Client, memory: Memory) -> None:
    async def breaks() -> AsyncIterator[Upload]:
        yield Upload("a:b", b"x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async for _ in mesh.ingest(breaks(), collection="docs"):
            pass
    await until(lambda: memory.open_calls == 0)


async def test_a_bad_upload_is_raised_as_it_is(mesh: Client) -> None:
    with pytest.raises(InvalidArgument):
        async for _ in mesh.ingest([Upload("a:b", b"x")], collection="Not A Name"):
            pass


async def test_a_slow_mesh_slows_the_reading_of_files(mesh: Client, memory: Memory) -> None:
    memory.pause.clear()
    taken = 0

    def uploads() -> Iterator[Upload]:
        nonlocal taken
        for number in range(100):
            taken = number + 1
            yield Upload(f"a:{number}", b"x" * MEBIBYTE)

    async def run() -> int:
        return len([event async for event in mesh.ingest(uploads(), collection="docs")])

    task = asyncio.create_task(run())
    await until(lambda: memory.open_calls == 1)
    await asyncio.sleep(0.5)
    assert taken < 30  # what flow control, its buffers and the fake's own queue hold
    memory.pause.set()
    assert await task == 101


async def test_a_large_file_takes_little_memory(mesh: Client, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(64 * MEBIBYTE)
    upload = Upload.of_file(large)
    tracemalloc.start()
    try:
        async with aclosing(upload.parts()) as parts:
            total = 0
            async for part in parts:
                total += len(part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 64 * MEBIBYTE
    assert peak < 8 * MEBIBYTE


async def test_silence_has_an_end(mesh: Client, memory: Memory) -> None:
    memory.pause.clear()
    with pytest.raises(DeadlineExceeded, match="said nothing for"):
        async for _ in mesh.ingest([Upload("a:b", b"x")], collection="docs", silence_s=0.2):
            pass
    memory.pause.set()
    await until(lambda: memory.open_calls == 0)


async def test_leaving_early_ends_the_stream(mesh: Client, memory: Memory) -> None:
    uploads = (Upload(f"a:{number}", b"x") for number in range(1000))
    async with aclosing(mesh.ingest(uploads, collection="docs")) as events:
        async for _ in events:
            break
    await until(lambda: memory.open_calls == 0)
    assert len(memory.texts) < 1000
