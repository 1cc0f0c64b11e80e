"""The artifact root, as far as adapters are concerned: any fsspec URL."""

import os
import secrets
import shutil
from collections.abc import Collection
from contextlib import suppress
from functools import cached_property
from hashlib import file_digest, sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec

from groundmesh.adapters.manifest import (
    MANIFEST_NAME,
    MAX_FILES,
    MAX_MANIFEST_BYTES,
    AdapterFile,
    AdapterRef,
    Manifest,
)
from groundmesh.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound, Reason

_BLOCK_BYTES = 1 << 20


class AdapterRoot:
    """The adapters of one tenant under a URL.

    Every method blocks, and lets through what the store of the URL raises when it is away. All may
    be called by many threads and processes at once.
    """

    def __init__(self, url: str, *, tenant: str) -> None:
        """Nothing is opened yet. ``tenant`` is a principal's, never what a request says."""
        self._url = url
        self._tenant = tenant

    def publish(
        self, folder: Path, *, name: str, version: int, base_revision: str = ""
    ) -> AdapterRef:
        """Put the files of a folder under their name; doing it again, or at once, changes nothing.

        One that is killed in the middle leaves nothing that can be fetched, and the next completes
        it. InvalidArgument for a folder that is no adapter.
        """
        try:
            manifest = _manifest(folder, name=name, version=version, base_revision=base_revision)
            ref = manifest.ref
        except ValueError as error:
            raise InvalidArgument(f"{folder} can't be published: {error}") from error
        for file in manifest.files.values():
            self._upload(folder / file.name, ref, size=file.size)
        self._write(f"{self._path(ref)}/{MANIFEST_NAME}", manifest.to_bytes())
        return ref

    def manifest(self, ref: AdapterRef) -> Manifest:
        """What is kept under a name.

        NotFound (ADAPTER_NOT_FOUND) when there is none; FailedPrecondition (ADAPTER_UNUSABLE)
        when it isn't what the name says.
        """
        path = f"{self._path(ref)}/{MANIFEST_NAME}"
        try:
            content = bytes(self._filesystem.cat_file(path, start=0, end=MAX_MANIFEST_BYTES + 1))
        except FileNotFoundError:
            raise _not_found(ref) from None
        if sha256(content).hexdigest() != ref.sha256:
            raise _unusable(ref, "its manifest doesn't match its sha256")
        try:
            manifest = Manifest.from_bytes(content)
        except ValueError as error:
            raise _unusable(ref, str(error)) from error
        if (manifest.name, manifest.version) != (ref.name, ref.version):
            raise _not_found(ref)
        return manifest

    def fetch(self, ref: AdapterRef, files: Collection[AdapterFile], *, into: Path) -> None:
        """Copy these files of an adapter into a folder, which nothing else makes.

        The folder is there with all of them, verified, or not at all; one that is there is left as
        it is. FailedPrecondition (ADAPTER_UNUSABLE) names the file that is missing or isn't what
        its manifest says.
        """
        if into.is_dir():
            return
        partial = into.with_name(f".{into.name}.{secrets.token_hex(4)}")
        partial.mkdir(parents=True)
        try:
            for file in files:
                self._download(ref, file, partial / file.name)
            partial.rename(into)
        except OSError:
            if not into.is_dir():  # else another fetch was faster
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        opened: tuple[Any, str] = fsspec.core.url_to_fs(self._url)
        return opened

    @property
    def _filesystem(self) -> Any:
        return self._opened[0]

    @property
    def _is_local(self) -> bool:
        protocol = self._filesystem.protocol
        return "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def _path(self, ref: AdapterRef) -> str:
        return f"{self._opened[1]}/tenants/{self._tenant}/adapters/{ref.sha256}"

    def _upload(self, source: Path, ref: AdapterRef, *, size: int) -> None:
        path = f"{self._path(ref)}/{source.name}"
        if self._filesystem.exists(path) and self._filesystem.size(path) == size:
            return
        if not self._is_local:  # object stores show an object only when it is whole
            self._filesystem.put_file(str(source), path)
            return
        with source.open("rb") as file:
            self._write_local(path, file)

    def _write(self, path: str, content: bytes) -> None:
        if self._is_local:
            self._write_local(path, BytesIO(content))
        else:
            self._filesystem.pipe_file(path, content)

    def _write_local(self, path: str, source: Any) -> None:
        final = Path(path)
        partial = final.with_name(f".{final.name}.{secrets.token_hex(4)}")
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                shutil.copyfileobj(source, file, _BLOCK_BYTES)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(final)
        except BaseException:
            with suppress(FileNotFoundError):
                partial.unlink()
            raise

    def _download(self, ref: AdapterRef, file: AdapterFile, to: Path) -> None:
        path = f"{self._path(ref)}/{file.name}"
        try:
            with self._filesystem.open(path, "rb") as source, to.open("wb") as copy:
                _copy_checked(source, copy, file)
        except FileNotFoundError:
            raise _unusable(ref, f"{file.name} is missing") from None
        except DataLoss as error:
            raise _unusable(ref, error.message) from error


def _copy_checked(source: Any, copy: Any, file: AdapterFile) -> None:
    digest, left = sha256(), file.size
    while block := source.read(_BLOCK_BYTES):
        left -= len(block)
        if left < 0:  # whoever put it there can't fill the disk with it
            break
        digest.update(block)
        copy.write(block)
    if left or digest.hexdigest() != file.sha256:
        raise DataLoss(f"{file.name} doesn't match its sha256")


def _manifest(folder: Path, *, name: str, version: int, base_revision: str) -> Manifest:
    paths = sorted(folder.iterdir())
    if len(paths) > MAX_FILES:
        raise ValueError(f"it holds more than {MAX_FILES} files")
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise ValueError(f"{path.name} is no file")
    return Manifest.of(
        name,
        version=version,
        base_revision=base_revision,
        files=[_described(path) for path in paths],
    )


def _described(path: Path) -> AdapterFile:
    with path.open("rb") as file:
        return AdapterFile(path.name, file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _not_found(ref: AdapterRef) -> NotFound:
    return NotFound(
        f"the artifact root has no adapter {ref.name} of version {ref.version} with sha256"
        f" {ref.sha256}",
        reason=Reason.ADAPTER_NOT_FOUND,
    )


def _unusable(ref: AdapterRef, why: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"adapter {ref.name}@{ref.version} can't be used: {why}", reason=Reason.ADAPTER_UNUSABLE
    )
