"""The client's collections and documents, against a fake gateway."""

from collections.abc import AsyncIterator

import pytest

from groundmesh.client import Client, IndexSettings, Upload
from groundmesh.errors import AlreadyExists, InvalidArgument, NotFound, Reason
from groundmesh.testing import running
from tests.fakes.gateway import Memory, gateway_service

DOCS = "tenants/default/collections/docs"


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def mesh(memory: Memory) -> AsyncIterator[Client]:
    async with running(gateway_service(memory)) as server, Client(server.address) as client:
        yield client


@pytest.fixture
async def filled(mesh: Client) -> Client:
    await mesh.collections.create("docs")
    uploads = [Upload(f"a:{number}", f"text {number}: grüße".encode()) for number in range(5)]
    async for _ in mesh.ingest(uploads, collection="docs"):
        pass
    return mesh


async def test_a_collection_from_birth_to_end(mesh: Client, memory: Memory) -> None:
    settings = IndexSettings(max_tokens=64, language="de")
    created = await mesh.collections.create("docs", description="All", index=settings)
    assert (created.name, created.id, created.description) == (DOCS, "docs", "All")
    assert created.embedding.model == "fake-embedder"
    assert (created.index.max_tokens, created.index.language) == (64, "de")
    assert memory.requests[0].parent == "tenants/default"
    with pytest.raises(AlreadyExists):
        await mesh.collections.create("docs")
    changed = await mesh.collections.update("docs", description="Some")
    assert changed.description == "Some"
    assert memory.requests[-1].update_mask.paths == ["description"]
    assert await mesh.collections.get(DOCS) == changed
    await mesh.collections.delete("docs")
    with pytest.raises(NotFound) as gone:
        await mesh.collections.get("docs")
    assert gone.value.reason is Reason.COLLECTION_NOT_FOUND


async def test_lists_turn_the_pages(filled: Client) -> None:
    for name in ("a", "b", "c", "d"):
        await filled.collections.create(name)
    listed = [collection.id async for collection in filled.collections.list()]
    assert listed == ["a", "b", "c", "d", "docs"]
    uris = [document.uri async for document in filled.documents.list("docs")]
    assert uris == ["a:0", "a:1", "a:2", "a:3", "a:4"]
    some = [d.uri async for d in filled.documents.list("docs", uri_prefix="a:3")]
    assert some == ["a:3"]
    chunks = [c.ordinal async for c in filled.documents.chunks("a:0", collection="docs")]
    assert chunks == [0, 1, 2]


async def test_a_document_has_three_names(filled: Client) -> None:
    by_uri = await filled.documents.get("a:1", collection="docs")
    assert by_uri == await filled.documents.get(by_uri.name)
    assert by_uri == await filled.documents.get(by_uri.id, collection="docs")
    with pytest.raises(InvalidArgument, match="collection"):
        await filled.documents.get("a:1")
    with pytest.raises(InvalidArgument, match="document"):
        await filled.documents.get("tenants/default/collections/docs/documents/xyz")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, "text 1: grüße"),  # the fake gives eight bytes at a time
        (5, 6, "1"),
        (8, None, "grüße"),
        (3, 3, ""),
        (11, None, "\N{REPLACEMENT CHARACTER}ße"),  # cuts the ü, bytes 10 and 11
    ],
)
async def test_a_text_is_read_whole_or_by_range(
    filled: Client, start: int, end: int | None, expected: str
) -> None:
    text = await filled.documents.text("a:1", collection="docs", start_byte=start, end_byte=end)
    assert text == expected


async def test_a_document_is_deleted(filled: Client, memory: Memory) -> None:
    await filled.documents.delete("a:1", collection="docs", purge=True)
    assert memory.requests[-1].purge
    with pytest.raises(NotFound):
        await filled.documents.get("a:1", collection="docs")
