"""The kept texts: an artifact store by fsspec URL, addressed by sha256, checked when read."""

import asyncio
import hashlib
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

import fsspec

from groundmesh.errors import DataLoss, Reason, Unavailable

T = TypeVar("T")

_BLOCK_BYTES = 1 << 20
_VERIFIED_KEPT = 4_096


class TextStore:
    """Extracted texts under ``{url}/texts/ab/cdef…``; the same text is kept once.

    While one is written it lies under ``{url}/partial``.

    Every method runs in a thread, since fsspec blocks.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._opened: tuple[Any, str] | None = None
        self._verified: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    async def put(self, sha256: str, data: bytes) -> None:
        """Keep a text; when this returns, the whole of it is there under its final name."""
        await self._run(lambda: self._put(sha256, data))

    async def read(self, sha256: str, start: int, end: int) -> bytes:
        """Bytes ``start`` to ``end`` of a text; DataLoss when it is gone or does not match."""
        return await self._run(lambda: self._read(sha256, start, end))

    async def delete(self, sha256: str) -> None:
        """Forget a text; one that is not there is fine."""
        await self._run(lambda: self._delete(sha256))

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.to_thread(work)
        except (OSError, TimeoutError) as error:
            raise Unavailable(
                f"the artifact store does not answer: {type(error).__name__}",
                reason=Reason.STORE_UNAVAILABLE,
                retry_after_s=1.0,
            ) from error

    def _filesystem(self) -> tuple[Any, str]:
        # Opened by the first call, in its thread: a remote one connects.
        with self._lock:
            if self._opened is None:
                self._opened = fsspec.core.url_to_fs(self._url)
            return self._opened

    def _path(self, sha256: str) -> str:
        return f"{self._filesystem()[1]}/texts/{sha256[:2]}/{sha256[2:]}"

    def _put(self, sha256: str, data: bytes) -> None:
        filesystem, path = self._filesystem()[0], self._path(sha256)
        if filesystem.exists(path) and filesystem.size(path) == len(data):
            return
        filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        if "file" not in _protocols(filesystem):
            filesystem.pipe_file(path, data)  # object stores show an object only when it is whole
            return
        partial = f"{self._partials()}/{sha256}.{secrets.token_hex(4)}"
        filesystem.makedirs(self._partials(), exist_ok=True)
        with filesystem.open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            filesystem.mv(partial, path)
        except FileNotFoundError:
            if not filesystem.exists(path):  # else another writer has finished, and tidied up
                raise
        self._remove_partials(sha256)

    def _read(self, sha256: str, start: int, end: int) -> bytes:
        filesystem, path = self._filesystem()[0], self._path(sha256)
        try:
            state = filesystem.ukey(path)
            if not self._is_verified(sha256, state):
                _verify(filesystem, path, sha256)
                self._set_verified(sha256, state)
            data = filesystem.cat_file(path, start=start, end=end)
        except FileNotFoundError:
            raise DataLoss(f"text {sha256} is gone", reason=Reason.TEXT_CORRUPTED) from None
        return bytes(data)

    def _delete(self, sha256: str) -> None:
        filesystem, path = self._filesystem()[0], self._path(sha256)
        with suppress(FileNotFoundError):
            filesystem.rm_file(path)
        self._remove_partials(sha256)

    def _partials(self) -> str:
        return f"{self._filesystem()[1]}/partial"

    def _remove_partials(self, sha256: str) -> None:
        """What writers of the same text that were killed have left."""
        filesystem = self._filesystem()[0]
        with suppress(FileNotFoundError):
            for path in filesystem.ls(self._partials(), detail=False):
                if path.rpartition("/")[2].startswith(sha256):
                    filesystem.rm_file(path)

    def _is_verified(self, sha256: str, state: str) -> bool:
        with self._lock:
            return self._verified.get(sha256) == state

    def _set_verified(self, sha256: str, state: str) -> None:
        # Hashing a large text for each small range would cost more than reading it; ``state``
        # changes with the file, so a text that was touched since is hashed again.
        with self._lock:
            self._verified[sha256] = state
            if len(self._verified) > _VERIFIED_KEPT:
                self._verified.popitem(last=False)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _verify(filesystem: Any, path: str, sha256: str) -> None:
    digest = hashlib.sha256()
    with filesystem.open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    if digest.hexdigest() != sha256:
        raise DataLoss(f"text {sha256} does not match its hash", reason=Reason.TEXT_CORRUPTED)
