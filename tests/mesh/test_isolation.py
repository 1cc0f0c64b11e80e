"""Nobody ever finds, lists or reads what is not for them: random worlds, random questions."""

import random
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor

from groundmesh.channel import translated
from groundmesh.errors import NotFound, PermissionDenied, Reason
from groundmesh.identity import ALL_LABELS, Principal, acting_as
from groundmesh.names import document_id
from groundmesh.v1 import document_pb2, retriever_pb2
from groundmesh.v1.retriever_pb2 import SEARCH_MODE_DENSE, SEARCH_MODE_HYBRID, SEARCH_MODE_SPARSE
from tests.fakes.vector_store import FakeVectorStore
from tests.mesh.isolation_world import (
    COLLECTIONS,
    TENANTS,
    World,
    may_read,
    name_of,
    on_the_wire,
)
from tests.mesh.retriever_mesh import Doc, RetrieverClient, retriever_mesh, steps
from tests.milvus_servers import milvus_lite

MODES = (SEARCH_MODE_DENSE, SEARCH_MODE_SPARSE, SEARCH_MODE_HYBRID)
CHANGES_EVERY = 10
SEED = 20_261_122


async def test_no_leak_in_a_few_cases(tmp_path: Path) -> None:
    """The same as below, on the store that the tests keep in memory."""
    await _ask_and_compare(retriever_mesh(tmp_path, FakeVectorStore()), cases=150)


@pytest.mark.e2e
@pytest.mark.slow
async def test_no_leak_in_thousands_of_cases_on_milvus_lite(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    with milvus_lite(tmp_path_factory.mktemp("lite")) as lite:
        await lite.up()
        await _ask_and_compare(retriever_mesh(tmp_path, lite.uri), cases=3_000)


@pytest.mark.parametrize(
    "request_of",
    [
        retriever_pb2.SearchRequest,
        document_pb2.GetDocumentRequest,
        document_pb2.GetDocumentTextRequest,
        document_pb2.ListDocumentsRequest,
        document_pb2.ListChunksRequest,
        document_pb2.DeleteDocumentRequest,
    ],
)
def test_no_request_can_say_who_asks(request_of: type[retriever_pb2.SearchRequest]) -> None:
    fields = _field_names(request_of.DESCRIPTOR, set())
    assert fields
    for word in ("label", "tenant", "principal", "subject", "reader"):
        assert not [name for name in fields if word in name]


def _field_names(message: Descriptor, seen: set[str]) -> set[str]:
    names = set()
    for each in message.fields:
        names.add(each.name)
        inner = each.message_type
        if inner is not None and inner.full_name not in seen:
            names |= _field_names(inner, seen | {inner.full_name})
    return names


async def _ask_and_compare(
    mesh: AbstractAsyncContextManager[RetrieverClient], *, cases: int
) -> None:
    world = World(random.Random(SEED))
    async with mesh as client:
        for tenant in TENANTS:
            with acting_as(_admin(tenant)):
                for collection in COLLECTIONS:
                    await client.create(collection, tenant)
                    world.docs[name_of(tenant, collection)] = {}
        for _ in range(30):
            await _change(client, world)
        for case in range(cases):
            if case % CHANGES_EVERY == 0:
                await _change(client, world)
            principal = world.some_principal()
            with acting_as(principal):
                await _search(client, world, principal)
                await _read(client, world, principal)


async def _change(client: RetrieverClient, world: World) -> None:
    """A document comes, takes the place of another with other readers, or goes."""
    name, docs = world.rng.choice(list(world.docs.items()))
    doc = world.some_doc()
    with acting_as(_admin(name.split("/")[1])):
        if doc.uri in docs and world.rng.random() < 0.3:
            await client.documents.DeleteDocument(
                document_pb2.DeleteDocumentRequest(name=_name(name, docs.pop(doc.uri)))
            )
        else:
            [answer] = await client.stream(steps(doc, parent=name))
            assert answer.WhichOneof("result") == "upserted"
            docs[doc.uri] = doc


async def _search(client: RetrieverClient, world: World, principal: Principal) -> None:
    rng = world.rng
    names = [name_of(principal.tenant, each) for each in rng.sample(COLLECTIONS, rng.randint(1, 3))]
    asked = world.some_filter() if rng.random() < 0.6 else None
    limit = rng.choice((1, 5, 1_000))
    allowed = [line for doc in world.readable(principal, names, asked) for line in doc.lines]
    found = await client.found(
        "word",
        collections=names,
        mode=rng.choice(MODES),
        filter=None if asked is None else on_the_wire(asked),
        limit=limit,
    )
    case = (principal, names, asked, limit)
    assert set(found) <= set(allowed), case
    assert len(found) == min(limit, len(allowed)), case

    theirs = name_of(_other(principal.tenant), rng.choice(COLLECTIONS))
    await _is_denied(client.search("word", collections=[*names[:2], theirs]))


async def _read(client: RetrieverClient, world: World, principal: Principal) -> None:
    name, docs = world.rng.choice(list(world.docs.items()))
    listing = client.documents.ListDocuments(document_pb2.ListDocumentsRequest(parent=name))
    if not name.startswith(f"tenants/{principal.tenant}/"):
        return await _is_denied(listing)
    listed = [document.uri for document in (await listing).documents]
    assert sorted(listed) == sorted(u for u, doc in docs.items() if may_read(principal, doc))
    for doc in world.rng.sample(list(docs.values()), min(3, len(docs))):
        await _read_one(client, _name(name, doc), doc if may_read(principal, doc) else None)
    return None


async def _read_one(client: RetrieverClient, name: str, doc: Doc | None) -> None:
    got = client.documents.GetDocument(document_pb2.GetDocumentRequest(name=name))
    text = client.documents.GetDocumentText(document_pb2.GetDocumentTextRequest(name=name))
    chunks = client.documents.ListChunks(document_pb2.ListChunksRequest(parent=name))
    if doc is not None:
        assert (await got).document.uri == doc.uri
        assert (await text).text.decode() == doc.text
        assert [chunk.text for chunk in (await chunks).chunks] == list(doc.lines)
        return
    for call in (got, text, chunks):
        with pytest.raises(NotFound), translated():
            await call


async def _is_denied(call: Awaitable[object]) -> None:
    with pytest.raises(PermissionDenied) as caught, translated():
        await call
    assert caught.value.reason is Reason.TENANT_MISMATCH


def _admin(tenant: str) -> Principal:
    return Principal(tenant, "admin", frozenset({ALL_LABELS}))


def _other(tenant: str) -> str:
    return TENANTS[1 - TENANTS.index(tenant)]


def _name(collection: str, doc: Doc) -> str:
    return f"{collection}/documents/{document_id(doc.uri)}"
