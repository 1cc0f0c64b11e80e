"""What the rows of the catalog say."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from groundmesh.names import CollectionName, document_id
from groundmesh_retriever.catalog import (
    chunk_sets,
    collections,
    documents,
    live_versions,
    tables,
    times,
)
from groundmesh_retriever.catalog.database import Database
from groundmesh_retriever.catalog.documents import EVERYBODY
from groundmesh_retriever.catalog.live_versions import LiveVersions
from groundmesh_retriever.model import (
    Collection,
)
from tests.unit.retriever.catalog_rows import added, attempt, collection, committed, document


async def test_a_collection_comes_back_as_it_was_added(database: Database) -> None:
    made = collection()
    found = await added(database, made)
    assert found == replace(made, create_time=found.create_time, update_time=found.update_time)
    with pytest.raises(IntegrityError):
        await added(database, collection())
    await added(database, collection(tenant="globex"))


async def test_a_document_comes_back_as_it_was_put(database: Database) -> None:
    of = await added(database, collection())
    made = document(of, "u", ("a", "b"))
    version = await committed(database, of, made)
    async with database.reading() as connection:
        live = await documents.find(connection, of, made.name.document, labels=None)
        assert live is not None
        assert (live.document, live.version) == (made, version)
    known = await live_of(database, of, [version, "x"])
    assert known is not None
    [(found, live_version)] = known.of.items()
    assert live_version is not None
    assert (found, live_version.version, live_version.head) == (version, version, made.head)


async def live_of(database: Database, of: Collection, versions: list[str]) -> LiveVersions | None:
    return await database.read(lambda connection: live_versions.find(connection, of.name, versions))


async def test_live_versions_are_told_with_the_index_that_serves(database: Database) -> None:
    of = await added(database, collection())
    assert await live_of(database, of, []) == LiveVersions(of.index.id, {})
    async with database.writing() as connection:
        await collections.remove(connection, of.uid)
    assert await live_of(database, of, ["x"]) is None


async def test_many_collections_are_found_at_once(database: Database) -> None:
    here = [await added(database, collection(tenant=tenant)) for tenant in ("acme", "globex")]
    names = [each.name for each in here]
    absent = CollectionName("acme", "absent")
    found = await database.read(lambda c: collections.find_all(c, [*names, absent]))
    assert found == dict(zip(names, here, strict=True))


async def test_a_collection_is_counted_without_reading_those_of_others(database: Database) -> None:
    of, other = await added(database, collection()), await added(database, collection("other"))
    for uri in ("u", "v"):
        await committed(database, of, document(of, uri))
    await committed(database, other, document(other, "u"))
    asked: list[tuple[str, Any]] = []
    async with database.reading() as connection:
        sa.event.listen(
            connection.sync_connection,
            "before_cursor_execute",
            lambda _c, _cursor, statement, parameters, *_: asked.append((statement, parameters)),
        )
        found = await collections.view(connection, of.name)
        assert found is not None
        assert (found.document_count, found.chunk_count) == (2, 6)
        if connection.dialect.name != "sqlite":
            return  # PostgreSQL reads so small a table whole whatever is asked
        [(statement, parameters)] = asked
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        read = [step for step in plan.scalars("detail") if "documents" in step]
        assert read
        assert all(step.startswith("SEARCH") and "collection_uid=?" in step for step in read)


@pytest.mark.parametrize(
    ("labels", "uris"),
    [
        (None, ["both", "hr", "public"]),
        ({EVERYBODY}, ["public"]),
        ({EVERYBODY, "hr"}, ["both", "hr", "public"]),
        ({EVERYBODY, "legal"}, ["both", "public"]),
        ({"HR"}, []),
    ],
)
async def test_labels_are_part_of_the_query(
    database: Database, labels: set[str] | None, uris: list[str]
) -> None:
    of = await added(database, collection())
    for uri, given in (("public", ()), ("hr", ("hr",)), ("both", ("hr", "legal"))):
        await committed(database, of, document(of, uri, given))
    held = None if labels is None else frozenset(labels)
    async with database.reading() as connection:
        page = await documents.page(
            connection, of, labels=held, after_uri="", uri_prefix="", limit=10
        )
        assert [each.draft.uri for each in page] == uris
        for uri in ("public", "hr", "both"):
            found = await documents.find(connection, of, document_id(uri), labels=held)
            assert (found is not None) == (uri in uris)


async def test_pages_are_ordered_by_bytes_and_prefixes_are_exact(database: Database) -> None:
    of = await added(database, collection())
    uris = ["B", "a", "a%", "a/1", "a/2", "a_", "b", "é", "東"]
    for uri in reversed(uris):
        await committed(database, of, document(of, uri))

    async def page(after: str, prefix: str) -> list[str]:
        async with database.reading() as connection:
            found = await documents.page(
                connection, of, labels=None, after_uri=after, uri_prefix=prefix, limit=100
            )
        return [each.draft.uri for each in found]

    assert await page("", "") == uris
    assert await page("a/1", "") == uris[4:]
    assert await page("", "a/") == ["a/1", "a/2"]
    assert await page("", "a%") == ["a%"]
    assert await page("", "a_") == ["a_"]
    assert await page("a/1", "a/") == ["a/2"]


async def test_a_version_goes_from_pending_to_live_to_retired(database: Database) -> None:
    of = await added(database, collection())
    first = await committed(database, of, document(of, "u"))
    second = await committed(database, of, document(of, "u"))
    known = await live_of(database, of, [first, second])
    assert known is not None
    now = {version: live and live.version for version, live in known.of.items()}
    assert now == {first: second, second: second}
    async with database.writing() as connection:
        [retired] = await chunk_sets.retired(connection, limit=10)
        assert retired.version == first
        assert not await chunk_sets.reserve(connection, second, 5)
        assert not await chunk_sets.make_live(connection, first, moment=1)


async def test_what_a_sweep_has_claimed_can_t_be_committed(database: Database) -> None:
    of = await added(database, collection())
    async with database.writing() as connection:
        await chunk_sets.begin(connection, attempt(of, "v", "d" * 32), chunk_count=0)
        assert await chunk_sets.reserve(connection, "v", 5)
        await chunk_sets.retire_abandoned(connection, before=times.ago(60))
        assert await chunk_sets.reserve(connection, "v", 9)  # young: left alone
        await chunk_sets.retire_abandoned(connection, before=times.now() + 1)
        assert not await chunk_sets.reserve(connection, "v", 12)
        assert not await chunk_sets.make_live(connection, "v", moment=1)
        [claimed] = await chunk_sets.retired(connection, limit=10)
        assert claimed.chunk_count == 9


async def test_what_is_given_up_is_swept_again_unless_it_is_live(database: Database) -> None:
    of = await added(database, collection())
    live = await committed(database, of, document(of, "u"))
    mine = attempt(of, "v", "d" * 32)
    async with database.writing() as connection:
        await chunk_sets.give_up(connection, mine, chunk_count=3)
        [swept] = await chunk_sets.retired(connection, limit=10)
        await chunk_sets.give_up(connection, mine, chunk_count=5)
        await chunk_sets.forget(connection, swept)  # no: there may be more now
        [again] = await chunk_sets.retired(connection, limit=10)
        assert (again.version, again.chunk_count) == ("v", 5)
        await chunk_sets.forget(connection, again)
        assert await chunk_sets.retired(connection, limit=10) == []
        await chunk_sets.give_up(connection, attempt(of, live, document_id("u")), chunk_count=3)
        assert await chunk_sets.retired(connection, limit=10) == []


async def test_each_change_of_a_collection_is_later_than_the_one_before(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = await added(database, collection())
    moments = []
    for clock in (5, 9_000_000_000_000_000, 9_000_000_000_000_000, 7):
        monkeypatch.setattr(times, "now", lambda clock=clock: clock)
        async with database.writing() as connection:
            moments.append(await collections.touch(connection, of.uid))
            found = await collections.find(connection, of.name)
            assert found is not None
            assert times.from_datetime(found.update_time) == moments[-1]
    first = times.from_datetime(of.update_time) + 1
    later = 9_000_000_000_000_000
    assert moments == [first, later, later + 1, later + 2]
    async with database.writing() as connection:
        assert await collections.touch(connection, "gone") is None


async def test_a_text_is_garbage_only_when_nothing_needs_it(database: Database) -> None:
    of = await added(database, collection())
    sha256 = "a" * 64

    async def garbage() -> list[str]:
        async with database.writing() as connection:
            locked = await chunk_sets.lock_unreferenced_text(connection, sha256)
            listed = list(await chunk_sets.unreferenced_texts(connection, limit=10))
            assert locked == (sha256 in listed)
            return listed

    async with database.writing() as connection:
        await chunk_sets.begin(connection, attempt(of, "v", "d" * 32), chunk_count=0)
    assert await garbage() == []
    async with database.writing() as connection:
        await chunk_sets.give_up(connection, attempt(of, "v", "d" * 32), chunk_count=0)
    assert await garbage() == [sha256]
    await committed(database, of, document(of, "u"))
    assert await garbage() == []
    async with database.writing() as connection:
        await documents.remove(connection, of, document_id("u"))
    assert await garbage() == [sha256]


async def test_removing_a_collection_leaves_its_index_to_the_sweep(database: Database) -> None:
    of = await added(database, collection())
    await committed(database, of, document(of, "u", ("hr",)))
    async with database.writing() as connection:
        await chunk_sets.remove_collection(connection, of.uid)
        await collections.remove(connection, of.uid)
        assert await collections.find(connection, of.name) is None
        assert list(await collections.retired_indexes(connection, limit=10)) == [of.index.id]
        count = sa.select(sa.func.count()).select_from(tables.readers)
        assert (await connection.execute(count)).scalar() == 0
        await collections.forget_index(connection, of.index.id)
    await added(database, collection())
