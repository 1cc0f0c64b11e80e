"""Adapters in the artifact root: whole or absent, found by their hash, and nobody else's."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.adapters import AdapterFile, AdapterRef, AdapterRoot, Manifest
from groundmesh.errors import FailedPrecondition, InvalidArgument, NotFound, Reason
from tests.adapter_files import write_adapter

HASH = "0" * 64


@pytest.fixture
def root(tmp_path: Path) -> AdapterRoot:
    return AdapterRoot(str(tmp_path / "root"), tenant="acme")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "adapter")


def fetched(root: AdapterRoot, ref: AdapterRef, into: Path) -> dict[str, bytes]:
    root.fetch(ref, list(root.manifest(ref).files.values()), into=into)
    return {path.name: path.read_bytes() for path in into.iterdir()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def kept_in(tmp_path: Path, ref: AdapterRef) -> Path:
    return tmp_path / "root" / "tenants" / "acme" / "adapters" / ref.sha256


@pytest.mark.parametrize("url", ["{tmp_path}/store", "file://{tmp_path}/store", "memory://store"])
def test_what_is_published_is_fetched(adapter: Path, tmp_path: Path, url: str) -> None:
    root = AdapterRoot(url.format(tmp_path=tmp_path), tenant="acme")
    ref = root.publish(adapter, name="support-bot", version=3, base_revision="abc")
    assert (ref.name, ref.version) == ("support-bot", 3)
    assert root.manifest(ref).base_revision == "abc"
    assert fetched(root, ref, tmp_path / "copy") == contents(adapter)
    fsspec.filesystem("memory").store.clear()


def test_publishing_again_changes_nothing(root: AdapterRoot, adapter: Path, tmp_path: Path) -> None:
    ref = root.publish(adapter, name="bot", version=1)
    before = contents(kept_in(tmp_path, ref))
    assert root.publish(adapter, name="bot", version=1) == ref
    assert contents(kept_in(tmp_path, ref)) == before
    assert root.publish(adapter, name="bot", version=2).sha256 != ref.sha256


def test_the_name_is_the_hash_of_the_manifest_that_stands_there(
    root: AdapterRoot, adapter: Path, tmp_path: Path
) -> None:
    ref = root.publish(adapter, name="bot", version=1)
    content = (kept_in(tmp_path, ref) / "manifest.json").read_bytes()
    assert sha256(content).hexdigest() == ref.sha256
    files = {file["name"]: file["sha256"] for file in json.loads(content)["files"]}
    assert files == {name: sha256(data).hexdigest() for name, data in contents(adapter).items()}


def test_an_adapter_of_another_tenant_or_name_or_version_is_not_found(
    root: AdapterRoot, adapter: Path, tmp_path: Path
) -> None:
    ref = root.publish(adapter, name="bot", version=1)
    other = AdapterRoot(str(tmp_path / "root"), tenant="other")
    for where, which in (
        (other, ref),
        (root, AdapterRef("bot", 2, ref.sha256)),
        (root, AdapterRef("cat", 1, ref.sha256)),
        (root, AdapterRef("bot", 1, HASH)),
    ):
        with pytest.raises(NotFound) as unknown:
            where.manifest(which)
        assert unknown.value.reason is Reason.ADAPTER_NOT_FOUND


@pytest.mark.parametrize("damage", ["changed", "longer", "shorter", "missing"])
def test_a_damaged_file_is_named_and_nothing_is_left(
    root: AdapterRoot, adapter: Path, tmp_path: Path, damage: str
) -> None:
    ref = root.publish(adapter, name="bot", version=1)
    file = kept_in(tmp_path, ref) / "adapter_model.safetensors"
    data = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        changed = {"changed": data[:-1] + b"x", "longer": data + b"x", "shorter": data[:-1]}
        file.write_bytes(changed[damage])
    with pytest.raises(FailedPrecondition, match=r"adapter_model\.safetensors") as damaged:
        fetched(root, ref, tmp_path / "copies" / "copy")
    assert damaged.value.reason is Reason.ADAPTER_UNUSABLE
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_manifest_that_was_changed_is_refused(
    root: AdapterRoot, adapter: Path, tmp_path: Path
) -> None:
    ref = root.publish(adapter, name="bot", version=1)
    manifest = kept_in(tmp_path, ref) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"bot", b"bat"))
    with pytest.raises(FailedPrecondition) as changed:
        root.manifest(ref)
    assert changed.value.reason is Reason.ADAPTER_UNUSABLE


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "..", ".hidden", "", "manifest.json", "a\0b", "x" * 200]
)
def test_no_manifest_leads_out_of_its_folder(root: AdapterRoot, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name"):
        AdapterFile(name, HASH, 1)
    fields = {"name": name, "sha256": HASH, "size": 1}
    content = json.dumps(
        {"format": 1, "name": "bot", "version": 1, "base_revision": "", "files": [fields]}
    ).encode()
    ref = AdapterRef("bot", 1, sha256(content).hexdigest())
    kept = kept_in(tmp_path, ref)
    kept.mkdir(parents=True)
    (kept / "manifest.json").write_bytes(content)
    with pytest.raises(FailedPrecondition):
        root.manifest(ref)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"{}", b"null", b"[" * 60_000, b'{"format":2}', b'{"format":1}'),
        b'{"format":1,"name":"bot","version":Infinity,"base_revision":"","files":[]}',
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Manifest.from_bytes(content)


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,9}\.json", fullmatch=True), st.integers(0, 9), min_size=1
    ),
    st.text(max_size=20),
)
def test_a_manifest_has_one_form(sizes: dict[str, int], revision: str) -> None:
    files = [AdapterFile(name, HASH, size) for name, size in sizes.items()]
    one = Manifest.of("bot", version=1, base_revision=revision, files=files)
    other = Manifest.of("bot", version=1, base_revision=revision, files=files[::-1])
    assert one.to_bytes() == other.to_bytes()
    assert Manifest.from_bytes(one.to_bytes()).ref == one.ref


@pytest.mark.parametrize(
    ("name", "version", "digest"),
    [("", 1, HASH), ("../x", 1, HASH), ("bot", 0, HASH), ("bot", 1, "../x"), ("bot", 1, "A" * 64)],
)
def test_what_can_not_be_a_reference(name: str, version: int, digest: str) -> None:
    with pytest.raises(ValueError, match=r"^(name|version|sha256): "):
        AdapterRef(name, version, digest)


def test_a_folder_that_is_no_adapter_is_not_published(root: AdapterRoot, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    deep = tmp_path / "deep" / "deeper"
    deep.mkdir(parents=True)
    linked = write_adapter(tmp_path / "linked")
    (linked / "link").symlink_to("/etc/passwd")
    for folder in (tmp_path / "empty", deep.parent, linked):
        with pytest.raises(InvalidArgument):
            root.publish(folder, name="bot", version=1)
    with pytest.raises(InvalidArgument):
        root.publish(write_adapter(tmp_path / "good"), name="Not A Name", version=1)


def publish_for_ever(url: str, adapter: Path) -> None:
    while True:
        ref = AdapterRoot(url, tenant="acme").publish(adapter, name="bot", version=1)
        shutil.rmtree(Path(url) / "tenants" / "acme" / "adapters" / ref.sha256, ignore_errors=True)


def test_killed_publishers_leave_nothing_that_is_half(
    root: AdapterRoot, adapter: Path, tmp_path: Path
) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(os.urandom(1 << 20))
    (adapter / "README.md").write_text("what")
    context = multiprocessing.get_context("fork")
    url = str(tmp_path / "root")
    for index in range(6):
        publisher = context.Process(target=publish_for_ever, args=(url, adapter))
        publisher.start()
        time.sleep(0.02 + index * 0.007)
        os.kill(publisher.pid or 0, signal.SIGKILL)
        publisher.join()
        ref = root.publish(adapter, name="bot", version=1)
        assert fetched(root, ref, tmp_path / f"copy{index}") == contents(adapter)


def test_many_publish_and_fetch_at_once(root: AdapterRoot, adapter: Path, tmp_path: Path) -> None:
    def both(_: int) -> AdapterRef:
        ref = root.publish(adapter, name="bot", version=1)
        root.fetch(ref, list(root.manifest(ref).files.values()), into=tmp_path / "same")
        return ref

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(both, range(32)))) == 1
    assert contents(tmp_path / "same") == contents(adapter)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".same")] == []
