"""The text store: whole, verified, read by range, written once."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.errors import DataLoss, Reason, Unavailable
from groundmesh_retriever.stores.texts import TextStore

TEXT = "Grüße aus 東京. ".encode() * 1_000
SHA256 = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> TextStore:
    return TextStore(tmp_path.as_uri(), timeout_s=10.0)


def path_of(folder: Path, sha256: str = SHA256) -> Path:
    return folder / "texts" / sha256[:2] / sha256[2:]


def files_in(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


async def test_a_text_is_kept_under_its_hash_and_read_by_range(
    store: TextStore, tmp_path: Path
) -> None:
    await store.put(SHA256, TEXT)
    assert path_of(tmp_path).read_bytes() == TEXT
    assert await store.read(SHA256, 0, len(TEXT)) == TEXT
    assert await store.read(SHA256, 7, 23) == TEXT[7:23]
    assert await store.read(SHA256, len(TEXT) - 3, len(TEXT)) == TEXT[-3:]
    assert await store.read(SHA256, 5, 5) == b""


async def test_other_filesystems_do_as_well() -> None:
    store = TextStore("memory://artifacts", timeout_s=10.0)
    await store.put(SHA256, TEXT)
    assert await store.read(SHA256, 3, 9) == TEXT[3:9]
    await store.delete(SHA256)
    with pytest.raises(DataLoss):
        await store.read(SHA256, 0, 1)


async def test_writing_again_and_at_once_is_fine(store: TextStore, tmp_path: Path) -> None:
    await asyncio.gather(*(store.put(SHA256, TEXT) for _ in range(8)))
    assert await store.read(SHA256, 0, len(TEXT)) == TEXT
    assert files_in(tmp_path) == [path_of(tmp_path)]


async def test_half_a_file_of_a_killed_writer_is_written_again(
    store: TextStore, tmp_path: Path
) -> None:
    path_of(tmp_path).parent.mkdir(parents=True)
    path_of(tmp_path).write_bytes(TEXT[:100])
    await store.put(SHA256, TEXT)
    assert await store.read(SHA256, 0, len(TEXT)) == TEXT


@pytest.mark.parametrize("ends", ["put", "delete"])
async def test_what_a_writer_left_that_was_killed_goes_with_its_text(
    store: TextStore, tmp_path: Path, ends: str
) -> None:
    await store.put(SHA256, TEXT)
    path_of(tmp_path).unlink()
    left = tmp_path / "partial" / f"{SHA256}.0123abcd"
    left.write_bytes(TEXT[:100])
    of_another = left.with_name(f"{'0' * 64}.0123abcd")
    of_another.write_bytes(b"being written")
    await (store.put(SHA256, TEXT) if ends == "put" else store.delete(SHA256))
    assert not left.exists()
    assert of_another.exists()


@pytest.mark.parametrize("read_before", [False, True])
async def test_a_text_that_was_changed_is_never_given(
    store: TextStore, tmp_path: Path, read_before: bool
) -> None:
    await store.put(SHA256, TEXT)
    if read_before:
        await store.read(SHA256, 0, 10)
    path_of(tmp_path).write_bytes(TEXT[:-1] + b"X")
    with pytest.raises(DataLoss) as caught:
        await store.read(SHA256, 0, 10)
    assert caught.value.reason is Reason.TEXT_CORRUPTED


async def test_a_text_that_is_gone_is_said_to_be(store: TextStore) -> None:
    with pytest.raises(DataLoss):
        await store.read(SHA256, 0, 10)
    await store.delete(SHA256)


async def test_a_store_that_can_t_be_written_is_away(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("a file where the folder should be")
    store = TextStore(tmp_path.as_uri(), timeout_s=10.0)
    with pytest.raises(Unavailable) as caught:
        await store.put(SHA256, TEXT)
    assert caught.value.reason is Reason.STORE_UNAVAILABLE


@settings(deadline=None)
@given(st.binary(max_size=500), st.integers(0, 600), st.integers(0, 600))
def test_any_range_of_any_text(data: bytes, one: int, other: int) -> None:
    start, end = sorted((min(one, len(data)), min(other, len(data))))
    sha256 = hashlib.sha256(data).hexdigest()

    async def round_trip() -> bytes:
        store = TextStore("memory://property", timeout_s=10.0)
        await store.put(sha256, data)
        return await store.read(sha256, start, end)

    assert asyncio.run(round_trip()) == data[start:end]
