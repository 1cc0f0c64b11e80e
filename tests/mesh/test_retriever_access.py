"""Who sees what: tenants and reader labels, over the wire, on Milvus Lite."""

import pytest

from groundmesh.channel import translated
from groundmesh.errors import MeshError, NotFound, PermissionDenied, Reason
from groundmesh.identity import ALL_LABELS, Principal, acting_as
from groundmesh.status import from_status
from groundmesh.v1 import collection_pb2, document_pb2
from groundmesh.v1.retriever_pb2 import SEARCH_MODE_DENSE, SEARCH_MODE_HYBRID, SEARCH_MODE_SPARSE
from tests.mesh.retriever_mesh import PARENT, Doc, RetrieverClient, steps

pytestmark = pytest.mark.e2e  # has a store of its own

PUBLIC = Doc("file:///public", ["word for everybody"])
HR = Doc("file:///hr", ["word for hr"], labels=["hr"])
LEGAL = Doc("file:///legal", ["word for legal"], labels=["legal", "board"])
STRANGER = Principal("globex", "eve", frozenset({ALL_LABELS}))
NOBODY = Principal("acme", "temp", frozenset())
HR_CLERK = Principal("acme", "ann", frozenset({"hr"}))
BOARD = Principal("acme", "bob", frozenset({"board", "hr"}))


@pytest.fixture
async def client(client: RetrieverClient) -> RetrieverClient:
    await client.upsert(PUBLIC, HR, LEGAL)
    return client


READABLE = [
    (NOBODY, [PUBLIC]),
    (HR_CLERK, [HR, PUBLIC]),
    (BOARD, [HR, LEGAL, PUBLIC]),
]


@pytest.mark.parametrize(("principal", "readable"), READABLE)
async def test_a_principal_finds_and_reads_what_its_labels_allow(
    client: RetrieverClient, principal: Principal, readable: list[Doc]
) -> None:
    with acting_as(principal):
        for mode in (SEARCH_MODE_DENSE, SEARCH_MODE_SPARSE, SEARCH_MODE_HYBRID):
            hits = (await client.search("word", mode=mode, limit=100)).chunks
            assert sorted(hit.uri for hit in hits) == [doc.uri for doc in readable]
        listed = await client.documents.ListDocuments(
            document_pb2.ListDocumentsRequest(parent=PARENT)
        )
        assert [document.uri for document in listed.documents] == [doc.uri for doc in readable]
        for doc in (PUBLIC, HR, LEGAL):
            if doc in readable:
                assert (await client.get(doc)).uri == doc.uri
            else:
                await _does_not_exist(client, doc)


async def _does_not_exist(client: RetrieverClient, doc: Doc) -> None:
    for call in (
        client.documents.GetDocument(document_pb2.GetDocumentRequest(name=doc.name)),
        client.documents.GetDocumentText(document_pb2.GetDocumentTextRequest(name=doc.name)),
        client.documents.ListChunks(document_pb2.ListChunksRequest(parent=doc.name)),
        client.documents.DeleteDocument(document_pb2.DeleteDocumentRequest(name=doc.name)),
    ):
        with pytest.raises(NotFound) as caught, translated():
            await call
        assert caught.value.reason is Reason.DOCUMENT_NOT_FOUND


async def _error(client: RetrieverClient, doc: Doc) -> MeshError:
    [answer] = await client.upsert(doc)
    return from_status(answer.error)


async def test_labels_that_are_not_held_can_be_neither_given_nor_overwritten(
    client: RetrieverClient,
) -> None:
    with acting_as(HR_CLERK):
        given = await _error(client, Doc("file:///new", ["x"], labels=["hr", "legal"]))
        overwritten = await _error(client, Doc(LEGAL.uri, ["x"]))
    for error in (given, overwritten):
        assert isinstance(error, PermissionDenied)
        assert error.reason is Reason.LABELS_NOT_HELD
    assert await client.lines(LEGAL) == list(LEGAL.lines)


async def test_tenants_never_meet(client: RetrieverClient) -> None:
    with acting_as(STRANGER):
        await client.create("docs", tenant="globex")
        theirs = "tenants/globex/collections/docs"
        await client.stream(steps(Doc("file:///public", ["word of globex"]), parent=theirs))
        assert await client.found("word", collections=[theirs], limit=100) == ["word of globex"]
        calls = [
            client.search("word"),
            client.get(PUBLIC),
            client.stream(steps(PUBLIC)),
            client.create("more", tenant="acme"),
        ]
        for call in calls:
            with pytest.raises(PermissionDenied) as caught:
                await call
            assert caught.value.reason is Reason.TENANT_MISMATCH
        listed = await client.collections.ListCollections(
            collection_pb2.ListCollectionsRequest(parent="tenants/globex")
        )
        assert [collection.name for collection in listed.collections] == [theirs]
    assert "word of globex" not in await client.found("word", limit=100)
