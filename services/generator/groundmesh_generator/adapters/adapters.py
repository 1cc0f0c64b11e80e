"""Adapters in the engine: loaded by the first who asks, kept while used, bounded in number."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from groundmesh.adapters import AdapterRef, Manifest
from groundmesh.errors import FieldViolation, Unimplemented
from groundmesh.identity import current_principal
from groundmesh_generator.adapters.check import BaseModel, check_adapter
from groundmesh_generator.adapters.disk import AdapterDisk, AdapterKey, DiskOptions
from groundmesh_generator.adapters.lru import LruBudget
from groundmesh_generator.adapters.weights import linear_shapes
from groundmesh_generator.backends.base import Adapter, AdapterLimits, Backend


@dataclass(frozen=True)
class AdapterOptions:
    """Where adapters come from, and how many are kept."""

    disk: DiskOptions
    limits: AdapterLimits


@dataclass(frozen=True)
class _Load:
    """An adapter in the engine, or on its way there."""

    key: AdapterKey
    adapter: Adapter
    task: asyncio.Task[None]


class Adapters:
    """What requests that name an adapter go through; the engine must have been started first."""

    def __init__(self, backend: Backend, options: AdapterOptions | None) -> None:
        """Without options none are served."""
        self._backend = backend
        self._options = options
        self._disk: AdapterDisk | None = None
        self._loads: dict[AdapterKey, _Load] = {}
        self._in_engine = LruBudget[Adapter](options.limits.max_loaded if options else 0)
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Learn what an adapter must fit."""
        model = self._backend.model
        if self._options is None or model is None or not self._backend.takes_adapters:
            return
        modules = await asyncio.to_thread(linear_shapes, Path(model.folder)) if model.folder else {}
        base = BaseModel(model.revision, modules, self._options.limits.max_rank)

        def check(folder: Path, manifest: Manifest) -> None:
            check_adapter(folder, base, base_revision=manifest.base_revision)

        self._disk = AdapterDisk(self._options.disk, check=check, spare=self._spare)

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._disk is not None:
            await self._disk.close()

    @asynccontextmanager
    async def use(self, ref: AdapterRef) -> AsyncIterator[Adapter]:
        """An adapter of the caller's tenant, in the engine for as long as the block runs.

        Loads it when it isn't there; waits while all that are loaded are in use.
        """
        if self._disk is None:
            raise _none_served()
        key = AdapterKey(current_principal().tenant, ref)
        folder = await self._disk.hold(key)
        try:
            adapter = await self._hold(key, folder)
            try:
                yield adapter
            finally:
                self._release(adapter)
        finally:
            self._disk.release(folder)

    def loaded(self) -> list[AdapterRef]:
        """The caller's tenant's adapters in the engine."""
        tenant = current_principal().tenant
        refs = [
            load.key.ref
            for load in self._loads.values()
            if load.key.tenant == tenant and load.task.done()
        ]
        return sorted(refs, key=lambda ref: (ref.name, ref.version, ref.sha256))

    async def _hold(self, key: AdapterKey, folder: Path) -> Adapter:
        # In turn, so that those who use what is loaded can't go on forever before one who waits
        # for them to make room.
        async with self._turn:
            load = self._loads.get(key) or self._begin(key, folder, await self._room())
            self._in_engine.hold(load.adapter)
        try:
            # Whoever leaves, the load goes on for the others.
            await asyncio.shield(load.task)
        except BaseException:
            self._release(load.adapter)
            raise
        return load.adapter

    async def _room(self) -> Sequence[Adapter]:
        """Whom to unload; waits until there is one, if there must be."""
        while (victims := self._in_engine.victims(1)) is None:
            self._freed.clear()
            await self._freed.wait()
        return victims

    def _release(self, adapter: Adapter) -> None:
        self._in_engine.release(adapter)
        self._freed.set()

    def _begin(self, key: AdapterKey, folder: Path, victims: Sequence[Adapter]) -> _Load:
        for victim in victims:
            self._forget(victim)
        adapter = Adapter(f"{key.tenant}/{key.ref.sha256}", next(self._numbers), str(folder))
        self._in_engine.add(adapter, 1)
        self._in_engine.hold(adapter)
        self._require_disk().hold_again(folder)
        task = asyncio.create_task(self._swap(victims, adapter), name=f"load adapter {folder.name}")
        self._tasks.add(task)
        task.add_done_callback(partial(self._over, adapter))
        load = self._loads[key] = _Load(key, adapter, task)
        return load

    async def _swap(self, victims: Sequence[Adapter], adapter: Adapter) -> None:
        for victim in victims:
            await self._unload(victim)
        await self._backend.load_adapter(adapter)

    async def _spare(self) -> bool:
        """Unload one that nobody uses, so that its folder isn't held; False when there is none."""
        task = asyncio.create_task(self._unload_idle(), name="unload an idle adapter")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)  # once begun, it ends, whoever leaves

    async def _unload_idle(self) -> bool:
        async with self._turn:  # nobody loads one into its place before it is gone
            if (victim := self._in_engine.idle()) is None:
                return False
            self._forget(victim)
            await self._unload(victim)
            return True

    async def _unload(self, victim: Adapter) -> None:
        try:
            await self._backend.unload_adapter(victim)
        finally:
            self._require_disk().release(Path(victim.folder))

    def _over(self, adapter: Adapter, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._release(adapter)
        if task.cancelled() or task.exception():
            self._forget(adapter)
            self._require_disk().release(Path(adapter.folder))

    def _forget(self, adapter: Adapter) -> None:
        self._in_engine.remove(adapter)
        self._loads = {k: load for k, load in self._loads.items() if load.adapter != adapter}

    def _require_disk(self) -> AdapterDisk:
        if self._disk is None:
            raise _none_served()
        return self._disk


def _none_served() -> Unimplemented:
    why = "this generator serves no adapters"
    return Unimplemented(f"adapter: {why}", fields=(FieldViolation("adapter", why),))
