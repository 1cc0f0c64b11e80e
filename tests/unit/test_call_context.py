"""Names, principals, deadlines and request ids: what a call carries."""

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundmesh.deadline import (
    DEADLINE_MARGIN_S,
    downstream_timeout,
    expired,
    remaining,
    within,
)
from groundmesh.errors import InvalidArgument, PermissionDenied, Reason, Unauthenticated
from groundmesh.identity import Principal, acting_as, current_principal
from groundmesh.names import CollectionName, DocumentName, document_id
from groundmesh.propagation import incoming_principal, outgoing_metadata
from groundmesh.request_id import accept, carrying, current_request_id

ALICE = Principal("acme", "alice", frozenset({"hr"}))


# ------------------------------------------------------------------------------------- names


def test_names_are_what_they_were_parsed_from() -> None:
    text = "tenants/acme/collections/handbook"
    collection = CollectionName.parse(text, field="name")
    assert (collection.tenant, collection.collection, str(collection)) == ("acme", "handbook", text)
    document = DocumentName.parse(f"{text}/documents/{'0a' * 16}", field="name")
    assert document.parent == collection
    assert str(document) == f"{text}/documents/{'0a' * 16}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "handbook",
        "tenants/acme/collections/",
        "tenants/acme/collections/Handbook",
        "tenants/acme/collections/-a",
        "tenants/acme/collections/a-",
        f"tenants/acme/collections/{'a' * 64}",
        "tenants//collections/a",
        "tenants/acme/collections/a\n",
        "tenants/acme/collections/a/documents/b",
        'tenants/a" or 1/collections/a',
        "tenants/acme/collections/ａ",
    ],
)
def test_other_texts_are_no_names(text: str) -> None:
    for kind in (CollectionName, DocumentName):
        with pytest.raises(InvalidArgument) as caught:
            kind.parse(text, field="parent")
        assert [violation.field for violation in caught.value.fields] == ["parent"]


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    for kind in (CollectionName, DocumentName):
        with pytest.raises(InvalidArgument):
            kind.parse(text, field="name")


def test_ids_of_63_characters_and_of_one_are_ids() -> None:
    for collection in ("a", "7", "a" * 63, "a--b"):
        text = f"tenants/acme/collections/{collection}"
        assert str(CollectionName.parse(text, field="name")) == text


def test_a_document_id_is_a_hash_of_its_uri() -> None:
    uri = "file:///ж.pdf"
    assert document_id(uri) == hashlib.sha256(uri.encode()).hexdigest()[:32]


def test_only_ones_own_tenant() -> None:
    CollectionName("acme", "c").check_tenant(ALICE)
    for name in (CollectionName("other", "c"), DocumentName("other", "c", "0" * 32)):
        with pytest.raises(PermissionDenied) as caught:
            name.check_tenant(ALICE)
        assert caught.value.reason is Reason.TENANT_MISMATCH


# ---------------------------------------------------------------------------------- identity


def test_there_is_no_principal_outside_of_a_call() -> None:
    with pytest.raises(LookupError, match="outside a call"):
        current_principal()
    with acting_as(ALICE):
        assert current_principal() is ALICE
    with pytest.raises(LookupError):
        current_principal()


def test_the_local_user_reads_everything() -> None:
    assert Principal.local().reads_all
    assert not ALICE.reads_all


@pytest.mark.parametrize(("tenant", "label"), [("", "a"), ("A", "a"), ("a b", "a"), ("a", "")])
def test_a_principal_is_fit_for_filters(tenant: str, label: str) -> None:
    with pytest.raises(ValueError, match=r"tenant|label"):
        Principal(tenant, "s", frozenset({label}))
    with pytest.raises(ValueError, match="label"):
        Principal("a", "s", frozenset({"two\nlines"}))


@given(
    subject=st.text(max_size=20),
    labels=st.frozensets(st.text(min_size=1, max_size=9).filter(str.isprintable), max_size=4),
)
def test_a_principal_travels_whole(subject: str, labels: frozenset[str]) -> None:
    principal = Principal("acme", subject, labels)
    with acting_as(principal):
        metadata = outgoing_metadata()
    assert incoming_principal(metadata) == principal


def test_half_a_principal_is_none() -> None:
    with acting_as(ALICE):
        metadata = outgoing_metadata()
    for absent in range(len(metadata)):
        with pytest.raises(Unauthenticated):
            incoming_principal(metadata[:absent] + metadata[absent + 1 :])


# ---------------------------------------------------------------------- deadline, request id


def test_without_a_deadline_nothing_expires() -> None:
    assert remaining() is None
    assert downstream_timeout() is None
    assert not expired()


def test_the_earlier_deadline_holds() -> None:
    with within(10):
        with within(60):
            assert (remaining() or 0) <= 10
        with within(None):
            assert (remaining() or 0) > 9
        with within(0):
            assert expired()
            assert downstream_timeout() == 0
        assert not expired()
    assert remaining() is None


def test_a_hop_keeps_a_margin_but_never_more_than_half() -> None:
    with within(10):
        assert (downstream_timeout() or 0) == pytest.approx(10 - DEADLINE_MARGIN_S, abs=0.01)
    with within(0.06):
        assert (downstream_timeout() or 0) == pytest.approx(0.03, abs=0.005)


def test_a_request_id_is_kept_only_if_it_can_go_into_a_log() -> None:
    assert accept("abc-1.2_3") == "abc-1.2_3"
    for bad in (None, "", "a b", "x" * 65, 'a"\n', "ж"):
        made = accept(bad)
        assert made != bad
        assert len(made) == 32
    with carrying("r1"):
        assert current_request_id() == "r1"
        assert outgoing_metadata() == (("x-request-id", "r1"),)
    assert current_request_id() is None


def test_what_a_core_may_import_brings_no_grpc() -> None:
    code = (
        "import sys, groundmesh.errors, groundmesh.identity, groundmesh.names, "
        "groundmesh.deadline, groundmesh.request_id, groundmesh.server.engine, "
        "groundmesh.server.checks, groundmesh.lifetime\n"
        "sys.exit(bool({'grpc', 'google.protobuf'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
