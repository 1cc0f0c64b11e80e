"""The adapters on this machine's disk: fetched once for all who ask, checked, and bounded."""

import asyncio
import itertools
import shutil
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from groundmesh.adapters import AdapterFile, AdapterRef, AdapterRoot, Manifest
from groundmesh.errors import (
    FailedPrecondition,
    MeshError,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from groundmesh.shared_fetch import SharedFetch
from groundmesh_generator.adapters.check import FILES
from groundmesh_generator.adapters.lru import LruBudget
from groundmesh_generator.backends.scratch import ScratchFolder

T = TypeVar("T")

THREADS = 4
"""Adapters that are fetched at once; more of them would only share the same network."""
RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class AdapterKey:
    """An adapter of a tenant; two tenants share none, not even one of the same bytes."""

    tenant: str
    ref: AdapterRef


@dataclass(frozen=True)
class DiskOptions:
    """Where adapters come from, and within which bounds."""

    artifact_root: str
    """An fsspec URL."""
    max_bytes: int
    fetch_timeout_s: float = 120.0


class AdapterDisk:
    """Fetches adapters to a folder that is gone with this process."""

    def __init__(
        self,
        options: DiskOptions,
        *,
        check: Callable[[Path, Manifest], None],
        spare: Callable[[], Awaitable[bool]],
    ) -> None:
        """``check`` raises ValueError for an adapter that can't be served; it runs in a thread.

        ``spare`` is asked for room when all folders are held: it says whether it released one.
        """
        self._options = options
        self._check = check
        self._spare = spare
        self._scratch = ScratchFolder()
        self._budget = LruBudget[Path](options.max_bytes)
        self._folders: dict[AdapterKey, Path] = {}
        self._fetching = SharedFetch(self._fetch, limit_s=options.fetch_timeout_s)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="adapters")
        self._numbers = itertools.count(1)

    async def hold(self, key: AdapterKey) -> Path:
        """The folder of an adapter, which stays until it was released as often as it was held."""
        while (folder := self._folders.get(key)) is None:
            await self._fetching.get(key)
        self._budget.hold(folder)
        return folder

    def hold_again(self, folder: Path) -> None:
        """Hold one that is held."""
        self._budget.hold(folder)

    def release(self, folder: Path) -> None:
        """End one hold."""
        self._budget.release(folder)

    async def close(self) -> None:
        """Give up what is being fetched, and remove all."""
        await self._fetching.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._scratch.remove()

    async def _fetch(self, key: AdapterKey) -> None:
        root = AdapterRoot(self._options.artifact_root, tenant=key.tenant)
        manifest = await self._in_thread(lambda: root.manifest(key.ref))
        files = [manifest.files[name] for name in FILES if name in manifest.files]
        if len(files) < len(FILES):
            raise _unusable(key.ref, f"it must hold {' and '.join(FILES)}")
        folder = await self._reserve(key.ref, files)
        work = self._in_thread(lambda: self._bring(root, manifest, files, folder))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(lambda _: self._drop(folder))  # a thread can't be cancelled
            raise
        except BaseException:
            self._drop(folder)
            raise
        self._budget.release(folder)
        self._folders[key] = folder

    async def _reserve(self, ref: AdapterRef, files: Sequence[AdapterFile]) -> Path:
        """Count the files before they come, and remove what they need the room of."""
        size = sum(file.size for file in files)
        if size > self._budget.capacity:
            raise _unusable(ref, f"it has {size} bytes, all of them here {self._budget.capacity}")
        while (victims := self._budget.victims(size)) is None:
            if not await self._spare():
                raise ResourceExhausted(
                    "the adapters in use leave no room on the disk", retry_after_s=RETRY_AFTER_S
                )
        for victim in victims:
            self._drop(victim)
        # A folder of its own for each fetch: what is left of one that was given up is in no way.
        folder = self._scratch.path / f"{ref.sha256}-{next(self._numbers)}"
        self._budget.add(folder, size)
        self._budget.hold(folder)
        return folder

    def _bring(
        self, root: AdapterRoot, manifest: Manifest, files: Sequence[AdapterFile], folder: Path
    ) -> None:
        root.fetch(manifest.ref, files, into=folder)
        try:
            self._check(folder, manifest)
        except ValueError as error:
            raise _unusable(manifest.ref, str(error)) from error

    def _drop(self, folder: Path) -> None:
        self._budget.remove(folder)
        self._folders = {key: kept for key, kept in self._folders.items() if kept != folder}
        with suppress(RuntimeError):  # closed: the folder around it is removed
            self._threads.submit(shutil.rmtree, folder, ignore_errors=True)

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        def translated() -> T:
            try:
                return work()
            except MeshError:
                raise
            except Exception as error:  # most stores raise the errors of their own library
                # Its text may say where the store is, which is no caller's business.
                why = getattr(error, "strerror", None) or type(error).__name__
                raise Unavailable(
                    f"an adapter can't be fetched: {why}",
                    reason=Reason.STORE_UNAVAILABLE,
                    retry_after_s=RETRY_AFTER_S,
                ) from error

        return asyncio.get_running_loop().run_in_executor(self._threads, translated)


def _unusable(ref: AdapterRef, why: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"adapter {ref.name}@{ref.version} can't be used: {why}", reason=Reason.ADAPTER_UNUSABLE
    )
