"""``Ingest`` over the wire: the production chassis, real parse workers, a fake mesh behind."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from groundmesh.chunk_context import context_of, in_context
from groundmesh.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Reason,
    Unimplemented,
)
from groundmesh.names import document_id
from groundmesh.v1.collection_pb2 import IndexConfig, SplittingConfig
from groundmesh.v1.common_pb2 import PRIORITY_BULK
from groundmesh.v1.embedder_pb2 import INPUT_KIND_PASSAGE, EmbeddingModel
from groundmesh.v1.gateway_pb2 import IngestEnd, IngestRequest
from groundmesh_gateway.splitting import METHOD
from tests.documents_by_hand import pdf
from tests.fakes.embedder_service import DIMENSION, MODEL, POISON, REVISION
from tests.fakes.retriever_service import COLLECTION
from tests.mesh.ingest_bench import Bench, Events, begin, document, ingest_bench, outcome_of
from tests.waiting import until

LONG = b"# Heading\n\n" + b"A sentence of a few words. " * 400


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with ingest_bench() as bench:
        yield bench


def name_of(uri: str) -> str:
    return f"{COLLECTION}/documents/{document_id(uri)}"


async def test_each_document_is_parsed_embedded_written_and_told_of(bench: Bench) -> None:
    events = await bench.ingest(
        document("file:///a/long.md", LONG),
        document("file:///a/b.html", b"<title>Page</title><h1>On</h1><p>text</p>"),
        document("file:///a/c.pdf", pdf("first page", "second page")),
    )
    assert set(events.outcomes().values()) == {"INDEXED"}
    written = bench.retriever.written[name_of("file:///a/long.md")]
    assert written.model == (MODEL, REVISION)
    assert written.text == LONG
    assert written.document.uri == "file:///a/long.md"
    assert written.document.title == "Heading"
    assert written.document.media_type == "text/markdown"
    assert written.document.content_sha256 == hashlib.sha256(LONG).hexdigest()
    assert written.document.content_bytes == len(LONG)
    (event,) = [event for event in events.documents if event.uri.endswith("long.md")]
    assert event.name == name_of(event.uri)
    assert event.chunk_count == len(written.chunks) > 100
    (page,) = bench.retriever.written[name_of("file:///a/c.pdf")].chunks
    assert page.place.page == 1


async def test_chunks_go_with_their_vectors_in_order(bench: Bench) -> None:
    await bench.ingest(document("a.md", LONG), document("b.txt", b"Short text."))
    written = bench.retriever.written[name_of("a.md")]
    assert [chunk.ordinal for chunk in written.chunks] == list(range(len(written.chunks)))
    width = 4 * DIMENSION
    for chunk in written.chunks:
        row = written.vectors[chunk.ordinal * width : (chunk.ordinal + 1) * width]
        text = written.text[chunk.start_byte : chunk.end_byte].decode()
        passage = in_context(context_of(chunk.place.heading_path, text), text)
        # The fake's vector is the length of the text that it was given.
        assert int.from_bytes(row, "little") == len(passage)
        assert passage in bench.embedder.texts
        assert list(chunk.place.heading_path) == ["Heading"]


async def test_what_is_embedded_stands_in_its_context(bench: Bench) -> None:
    text = b"# Fruit\n\n" + b"Sour and cool. " * 10
    await bench.ingest(document("a.md", text, title="Kit"), document("b.txt", b"Just this."))
    assert "Just this." in bench.embedder.texts  # a file's name says nothing of its subject
    others = [text for text in bench.embedder.texts if text != "Just this."]
    assert len(others) > 2
    assert all(text.startswith(("Kit\n", "Kit > Fruit\n")) for text in others)
    written = bench.retriever.written[name_of("a.md")]
    assert written.text == text


async def test_the_embedder_is_asked_in_bulk_strictly_and_in_full_calls(bench: Bench) -> None:
    bench.embedder.open.clear()
    texts = [document(f"{number}.txt", f"text {number}".encode()) for number in range(60)]
    ingesting = asyncio.create_task(bench.ingest(*texts))
    await until(lambda: len(bench.retriever.lookups) == len(texts), within_s=60)
    await until(lambda: not bench.load("parse_documents_waiting"), within_s=60)
    await until(lambda: not bench.load("parse_workers_busy"))
    bench.embedder.open.set()
    assert len((await ingesting).documents) == 60
    for request in bench.embedder.requests:
        assert request.kind == INPUT_KIND_PASSAGE
        assert request.strict
        assert request.priority == PRIORITY_BULK
    # While the first calls were held up the rest gathered: chunks of many documents a call.
    assert sorted(bench.embedder.calls)[-5:] == [8, 8, 8, 8, 8]


async def test_a_bad_document_among_good_ones_fails_alone(bench: Bench) -> None:
    long_uri = "u" * 3000
    events = await bench.ingest(
        document("good.txt"),
        document("empty.txt", b""),
        document("damaged.pdf", b"%PDF-1.4 rubbish"),
        document("picture.png", b"\x89PNG"),
        document("poison.txt", POISON.encode()),
        document("", b"text"),
        document(long_uri, b"text"),
        document("nested.txt", metadata={"list": [1, 2]}),
        document("fine.md"),
    )
    assert events.outcomes() == {
        "good.txt": "INDEXED",
        "empty.txt": "DOCUMENT_EMPTY",
        "damaged.pdf": "DOCUMENT_DAMAGED",
        "picture.png": "UNSUPPORTED_MEDIA_TYPE",
        "poison.txt": "INPUT_TOO_LONG",
        "": "INVALID_FIELD",
        long_uri: "INVALID_FIELD",
        "nested.txt": "INVALID_FIELD",
        "fine.md": "INDEXED",
    }
    assert set(bench.retriever.written) == {name_of("good.txt"), name_of("fine.md")}
    last = events.progress[-1]
    assert (last.documents_done, last.documents_failed, last.chunks) == (9, 7, 2)


async def test_a_uri_comes_once_a_stream(bench: Bench) -> None:
    events = await bench.ingest(document("a.txt", b"one"), document("a.txt", b"two"))
    assert sorted(_reasons(events)) == ["INDEXED", "INVALID_FIELD"]
    assert bench.retriever.written[name_of("a.txt")].text == b"one"


def _reasons(events: Events) -> list[str]:
    return [outcome_of(event) for event in events.documents]


async def test_a_document_that_is_given_up_leaves_what_was_there(bench: Bench) -> None:
    await bench.ingest(document("file:///a.md", b"The first version."))
    *half, _ = document("file:///a.md", b"Half of the sec")
    given_up = IngestRequest(end=IngestEnd(abandon=True))
    events = await bench.ingest([*half, given_up], document("file:///b.md", b"Another."))
    assert events.outcomes() == {"file:///a.md": "CALLER_GONE", "file:///b.md": "INDEXED"}
    assert bench.retriever.written[name_of("file:///a.md")].text == b"The first version."


async def test_the_same_again_is_no_work(bench: Bench) -> None:
    described: dict[str, Any] = {
        "reader_labels": ["staff"],
        "metadata": {"year": 2026, "draft": True},
    }
    documents = [document("a.md", LONG, **described), document("b.txt")]
    await bench.ingest(*documents)
    bench.embedder.calls.clear()
    bench.retriever.begun.clear()
    again = await bench.ingest(*documents)
    assert set(again.outcomes().values()) == {"UNCHANGED"}
    (long,) = [event for event in again.documents if event.uri == "a.md"]
    assert long.chunk_count == len(bench.retriever.written[name_of("a.md")].chunks)
    assert long.name == name_of("a.md")
    assert bench.embedder.calls == []
    assert bench.retriever.begun == []


@pytest.mark.parametrize(
    "change",
    [
        {"data": b"other"},
        {"title": "Other"},
        {"media_type": "text/markdown"},
        {"reader_labels": ["staff", "board"]},
        {"reader_labels": []},
        {"metadata": {"flag": 1}},
    ],
)
async def test_whatever_is_different_replaces(bench: Bench, change: dict[str, Any]) -> None:
    before: dict[str, Any] = {
        "data": b"text",
        "reader_labels": ["staff"],
        "metadata": {"flag": True},
    }
    await bench.ingest(document("a.txt", **before))
    events = await bench.ingest(document("a.txt", **{**before, **change}))
    assert events.outcomes() == {"a.txt": "REPLACED"}


async def test_a_title_is_given_or_found_or_made_of_the_uri(bench: Bench) -> None:
    await bench.ingest(
        document("https://example.org/my%20notes.txt"),
        document("b.md", b"# Found"),
        document("c.md", b"# Found", title="Given"),
        document("https://example.org/", b"text"),
    )
    titles = {each.document.uri: each.document.title for each in bench.retriever.written.values()}
    assert titles == {
        "https://example.org/my%20notes.txt": "my notes.txt",
        "b.md": "Found",
        "c.md": "Given",
        "https://example.org/": "example.org",
    }


async def test_a_collection_is_made_of_what_the_embedder_says(bench: Bench) -> None:
    index = IndexConfig(splitting=SplittingConfig(max_tokens=32))
    await bench.ingest(document("a.md", LONG), first=begin(index=index))
    made = bench.retriever.collections[COLLECTION].index
    assert (made.embedding.model, made.embedding.revision) == (MODEL, REVISION)
    assert made.embedding.dimension == DIMENSION
    assert (made.splitting.method, made.splitting.max_tokens) == (METHOD, 32)
    chunks = bench.retriever.written[name_of("a.md")].chunks
    assert 24 < max(chunk.tokens for chunk in chunks) <= 32


async def test_a_collection_that_is_not_there_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound) as caught:
        await bench.ingest(document("a.txt"), first=begin(create_collection=False))
    assert caught.value.reason is Reason.COLLECTION_NOT_FOUND


async def test_a_name_must_be_one_and_ones_own(bench: Bench) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await bench.ingest(first=begin(parent="docs"))
    assert [field.field for field in caught.value.fields] == ["begin.parent"]
    with pytest.raises(PermissionDenied):
        await bench.ingest(first=begin(parent="tenants/other/collections/docs"))


async def test_another_model_than_the_collections_is_refused(bench: Bench) -> None:
    await bench.ingest(document("a.txt"))
    bench.embedder.revision = "newer"
    with pytest.raises(FailedPrecondition, match="newer") as caught:
        await bench.ingest(document("b.txt"))
    assert caught.value.reason is Reason.MODEL_MISMATCH
    unknown = begin(index=IndexConfig(embedding=EmbeddingModel(model="unknown")))
    unknown.begin.parent = "tenants/default/collections/other"
    with pytest.raises(NotFound) as missing:
        await bench.ingest(first=unknown)
    assert missing.value.reason is Reason.MODEL_NOT_FOUND


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "begin"),
        ([IngestRequest()], "begin"),
        (document("a.txt"), "begin"),
        ([begin(), begin()], "begin"),
        ([begin(), IngestRequest()], "step"),
        ([begin(), IngestRequest(part=b"text")], "document"),
        ([begin(), IngestRequest(end=IngestEnd())], "document"),
        ([begin(), *document("a.txt")[:1], *document("b.txt")], "document"),
        ([begin(), *document("a.txt")[:2]], "end"),
        ([begin(), *document("a.txt")[:1], IngestRequest(part=bytes(5 << 20))], "part"),
    ],
)
async def test_a_message_out_of_order_ends_the_stream(
    bench: Bench, messages: list[IngestRequest], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await bench.send(messages)
    assert [each.field for each in caught.value.fields] == [field]
    await until(lambda: bench.load("ingest_bytes_in_hand") == 0)
    assert (await bench.ingest(document("c.txt"))).outcomes() == {"c.txt": "INDEXED"}


async def test_an_empty_stream_is_fine(bench: Bench) -> None:
    events = await bench.ingest()
    assert events.documents == []
    assert [progress.documents_done for progress in events.progress] == [0]


async def test_too_large_a_document_is_refused_and_read_over() -> None:
    async with ingest_bench(max_document_bytes=3 << 20) as bench:
        events = await bench.ingest(
            document("small.txt"),
            document("large.txt", b"word " * (1 << 20)),
            document("just.png", bytes(3 << 20)),
            document("after.txt"),
        )
        assert events.outcomes() == {
            "small.txt": "INDEXED",
            "large.txt": "DOCUMENT_TOO_LARGE",
            "just.png": "UNSUPPORTED_MEDIA_TYPE",
            "after.txt": "INDEXED",
        }
        assert events.progress[-1].bytes == 2 * len(b"Some text.") + (8 << 20)


async def test_progress_is_told_while_it_goes_on(bench: Bench) -> None:
    bench.embedder.open.clear()
    events, documents = Events(), [document("a.txt"), document("b.md", LONG)]
    ingesting = asyncio.create_task(bench.ingest(*documents, events=events))
    read = len(LONG) + len(b"Some text.")
    await until(lambda: [each.bytes for each in events.progress].count(read) >= 2)
    bench.embedder.open.set()
    *before, last = (await ingesting).progress
    assert {each.documents_done for each in before[:2]} == {0}
    assert (last.documents_done, last.bytes) == (2, read)
    assert last.chunks == bench.retriever.chunks
    elapsed = [each.elapsed.ToMilliseconds() for each in (*before, last)]
    assert elapsed == sorted(elapsed)
    assert last.elapsed.ToMilliseconds() >= 2000  # it is told once a second
    assert before[1].bytes_per_second > 0
    assert last.chunks_per_second > 0


async def test_what_the_store_says_of_a_document_is_told(bench: Bench) -> None:
    denied = PermissionDenied("not yours to give", reason=Reason.LABELS_NOT_HELD)
    bench.retriever.failures.append(denied)
    events = await bench.ingest(document("a.txt"))
    assert events.outcomes() == {"a.txt": "LABELS_NOT_HELD"}
    assert (await bench.ingest(document("a.txt"))).outcomes() == {"a.txt": "INDEXED"}


async def test_the_role_ask_takes_no_documents() -> None:
    async with ingest_bench(role="ask") as bench:
        with pytest.raises(Unimplemented):
            await bench.ingest(document("a.txt"))
