"""Adapters over an engine without a model: fetched once, loaded once, bounded, left by anybody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from groundmesh.adapters import AdapterRef, AdapterRoot
from groundmesh.errors import (
    FailedPrecondition,
    NotFound,
    Reason,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from groundmesh.identity import Principal, acting_as
from groundmesh_generator.adapters.adapters import AdapterOptions, Adapters
from groundmesh_generator.adapters.disk import DiskOptions
from groundmesh_generator.admission import AdmissionLimits
from groundmesh_generator.backends.base import AdapterLimits, Priority
from groundmesh_generator.core import Generator, GeneratorOptions
from groundmesh_generator.prompts import TextPrompt
from groundmesh_generator.sampling import Sampling
from tests.adapter_files import write_adapter
from tests.fakes.paced_generator import PacedBackend
from tests.waiting import until

ME = Principal.local()
OTHER = Principal(tenant="other", subject="x", labels=frozenset())
BYTES = 700
"""Of one adapter, roughly."""


class Bench:
    """Adapters, what they are kept in, and what loads them."""

    def __init__(self, folder: Path, *, max_loaded: int = 2, max_bytes: int = 10**6) -> None:
        self.folder = folder
        self.backend = PacedBackend()
        self.url = str(folder / "root")
        limits = AdapterLimits(max_loaded, max_in_batch=1)
        self.options = AdapterOptions(DiskOptions(self.url, max_bytes, fetch_timeout_s=5), limits)
        self.adapters = Adapters(self.backend, self.options)

    def publish(self, name: str, *, tenant: str = ME.tenant, **config: object) -> AdapterRef:
        folder = write_adapter(self.folder / "made" / name, **config)  # type: ignore[arg-type]
        return AdapterRoot(self.url, tenant=tenant).publish(folder, name=name, version=1)

    def loaded(self) -> list[str]:
        return [ref.name for ref in self.adapters.loaded()]

    async def touch(self, *refs: AdapterRef) -> None:
        for ref in refs:
            async with self.adapters.use(ref):
                pass


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with started(Bench(tmp_path)) as bench:
        yield bench


@asynccontextmanager
async def started(bench: Bench) -> AsyncIterator[Bench]:
    await bench.backend.start()
    await bench.adapters.start()
    with acting_as(ME):
        try:
            yield bench
        finally:
            await bench.adapters.stop()


async def test_it_is_loaded_by_the_first_use_and_kept(bench: Bench) -> None:
    ref = bench.publish("one")
    async with bench.adapters.use(ref) as adapter:
        assert bench.backend.adapters == [adapter]
        assert sorted(path.name for path in Path(adapter.folder).iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
        ]
    async with bench.adapters.use(ref) as again:
        assert again == adapter
    assert bench.loaded() == ["one"]


async def test_those_who_ask_at_once_have_it_fetched_and_loaded_once(bench: Bench) -> None:
    bench.backend.load_s = 0.05
    ref = bench.publish("one")
    await asyncio.gather(*(bench.touch(ref) for _ in range(20)))
    assert [adapter.number for adapter in bench.backend.adapters] == [1]


@pytest.mark.parametrize("loading", [False, True])
async def test_who_leaves_leaves_the_load_to_the_others(bench: Bench, loading: bool) -> None:
    bench.backend.load_s = 0.1
    ref = bench.publish("one")
    first = asyncio.create_task(bench.touch(ref))
    await until(lambda: bool(bench.adapters._tasks) or not loading)
    second = asyncio.create_task(bench.touch(ref))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
    assert [adapter.number for adapter in bench.backend.adapters] == [1]


async def test_the_least_used_goes_and_never_one_in_use(bench: Bench) -> None:
    one, two, three, four = (bench.publish(name) for name in ("one", "two", "three", "four"))
    await bench.touch(one, two, one, three)
    assert bench.loaded() == ["one", "three"]
    async with bench.adapters.use(one):
        await bench.touch(two, three, four)
        assert bench.loaded() == ["four", "one"]
    await bench.touch(one, four, two, three)
    assert len(bench.backend.adapters) == 2


async def test_one_that_finds_no_room_waits_and_nobody_overtakes_it(tmp_path: Path) -> None:
    async with started(Bench(tmp_path, max_loaded=1)) as bench:
        one, two = bench.publish("one"), bench.publish("two")
        order: list[str] = []

        async def use(ref: AdapterRef) -> None:
            async with bench.adapters.use(ref):
                order.append(ref.name)
                await asyncio.sleep(0.02)

        async with bench.adapters.use(one):
            waiting = asyncio.create_task(use(two))
            await asyncio.sleep(0.05)
            later = asyncio.create_task(use(one))
            await asyncio.sleep(0.05)
            assert order == []
        await asyncio.gather(waiting, later)
        assert order == ["two", "one"]


async def test_one_who_waits_for_room_may_leave(tmp_path: Path) -> None:
    async with started(Bench(tmp_path, max_loaded=1)) as bench:
        one, two = bench.publish("one"), bench.publish("two")
        async with bench.adapters.use(one):
            waiting = asyncio.create_task(bench.touch(two))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.wait([waiting])
            await asyncio.wait_for(bench.touch(one), 1)
        await bench.touch(two)


async def test_what_is_not_there_is_not_found_and_may_come_later(bench: Bench) -> None:
    ref = bench.publish("one")
    kept = bench.folder / "root"
    kept.rename(bench.folder / "away")
    with pytest.raises(NotFound) as unknown:
        await bench.touch(ref)
    assert unknown.value.reason is Reason.ADAPTER_NOT_FOUND
    (bench.folder / "away").rename(kept)
    await bench.touch(ref)


async def test_a_bad_one_is_refused_and_leaves_nothing(bench: Bench) -> None:
    good, bad = bench.publish("good"), bench.publish("bad", use_dora=True)
    for _ in range(3):
        with pytest.raises(FailedPrecondition, match="use_dora") as unusable:
            await bench.touch(bad)
        assert unusable.value.reason is Reason.ADAPTER_UNUSABLE
    await bench.touch(good)
    disk = bench.adapters._require_disk()
    await until(lambda: len(list(disk._scratch.path.iterdir())) == 1)
    assert list(disk._budget) == [Path(bench.backend.adapters[0].folder)]
    assert bench.loaded() == ["good"]


async def test_one_that_holds_no_safetensors_is_refused(bench: Bench) -> None:
    folder = write_adapter(bench.folder / "pickled")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    ref = AdapterRoot(bench.url, tenant=ME.tenant).publish(folder, name="pickled", version=1)
    with pytest.raises(FailedPrecondition, match=r"adapter_model\.safetensors"):
        await bench.touch(ref)


async def test_one_that_the_engine_refuses_leaves_nothing(bench: Bench) -> None:
    good, bad = bench.publish("good"), bench.publish("bad")
    bench.backend.refuses = {f"{ME.tenant}/{bad.sha256}"}
    results = await asyncio.gather(*(bench.touch(bad) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [FailedPrecondition] * 3
    await bench.touch(good)
    assert bench.loaded() == ["good"]
    bench.backend.refuses = set()
    await bench.touch(bad)
    assert bench.loaded() == ["bad", "good"]


async def test_tenants_share_nothing(bench: Bench) -> None:
    mine = bench.publish("mine")
    await bench.touch(mine)
    with acting_as(OTHER):
        assert bench.loaded() == []
        with pytest.raises(NotFound):
            await bench.touch(mine)
        assert bench.publish("mine", tenant=OTHER.tenant) == mine
        await bench.touch(mine)
        assert bench.loaded() == ["mine"]
    first, second = bench.backend.adapters
    assert (first.name, first.folder) != (second.name, second.folder)


async def test_the_disk_keeps_what_is_used_and_makes_room(tmp_path: Path) -> None:
    async with started(Bench(tmp_path, max_loaded=1, max_bytes=2 * BYTES)) as bench:
        refs = [bench.publish(f"a{index}") for index in range(5)]
        await bench.touch(*refs, *refs)
        disk = bench.adapters._require_disk()
        assert disk._budget.used <= 2 * BYTES
        await until(lambda: len(list(disk._scratch.path.iterdir())) <= 2)
        big = write_adapter(tmp_path / "big", None, target_modules=["x" * 2 * BYTES])
        ref = AdapterRoot(bench.url, tenant=ME.tenant).publish(big, name="big", version=1)
        with pytest.raises(FailedPrecondition, match="bytes"):
            await bench.touch(ref)


async def test_when_the_disk_is_full_of_what_is_used_one_is_told_to_retry(tmp_path: Path) -> None:
    async with started(Bench(tmp_path, max_loaded=3, max_bytes=BYTES)) as bench:
        one, two = bench.publish("one"), bench.publish("two")
        async with bench.adapters.use(one):
            with pytest.raises(ResourceExhausted) as full:
                await bench.touch(two)
            assert full.value.retry_after_s


async def test_one_that_is_loaded_but_not_used_makes_room_on_the_disk(tmp_path: Path) -> None:
    async with started(Bench(tmp_path, max_loaded=3, max_bytes=2 * BYTES)) as bench:
        one, two, three, four = (bench.publish(name) for name in ("one", "two", "three", "four"))
        await bench.touch(one)
        async with bench.adapters.use(two):
            await bench.touch(three, four, one)
            assert bench.loaded() == ["one", "two"]
        assert len(bench.backend.adapters) == 2
        disk = bench.adapters._require_disk()
        await until(lambda: len(list(disk._scratch.path.iterdir())) == 2)


class EndpointConnectionError(Exception):
    """As botocore has one: no OSError."""


@pytest.mark.parametrize("error", [ConnectionError("no route"), EndpointConnectionError("http:")])
async def test_a_store_that_is_away_is_unavailable(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ref = bench.publish("one")

    def away(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(AdapterRoot, "manifest", away)
        with pytest.raises(Unavailable) as failed:
            await bench.touch(ref)
    assert failed.value.reason is Reason.STORE_UNAVAILABLE
    assert type(error).__name__ in failed.value.message
    await bench.touch(ref)


async def test_without_a_root_or_an_engine_that_can_none_are_served(tmp_path: Path) -> None:
    without = Adapters(PacedBackend(), None)
    unable = Bench(tmp_path)
    unable.backend.takes_adapters = False
    ref = unable.publish("one")
    async with started(unable):
        for adapters in (without, unable.adapters):
            await adapters.start()
            with pytest.raises(Unimplemented):
                async with adapters.use(ref):
                    pass
            assert adapters.loaded() == []


async def test_stopped_it_leaves_no_folder(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with started(bench):
        await bench.touch(bench.publish("one"))
        folder = Path(bench.backend.adapters[0].folder)
        assert folder.is_dir()
    assert not folder.parent.exists()


async def test_a_loaded_one_that_the_engine_fails_to_unload_is_not_kept(tmp_path: Path) -> None:
    async with started(Bench(tmp_path, max_loaded=1, max_bytes=BYTES)) as bench:
        one, two = bench.publish("one"), bench.publish("two")
        await bench.touch(one)
        bench.backend.adapters.clear()  # it can't unload what it doesn't have
        with pytest.raises(ValueError, match="not in list"):
            await bench.touch(two)
        await bench.touch(two)
        assert bench.loaded() == ["two"]


async def test_a_request_has_an_adapter_only_once_it_was_admitted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_loaded=1)
    one, two = bench.publish("one"), bench.publish("two")
    bench.backend.token_s = 0.01
    options = GeneratorOptions(
        adapters=bench.options,
        limits=AdmissionLimits(max_running_bulk=1, max_waiting_bulk=1),
    )
    generator = Generator(bench.backend, options)

    async def ask(ref: AdapterRef | None, priority: Priority) -> None:
        prompt, sampling = TextPrompt("word"), Sampling(max_tokens=20)
        async for _ in generator.generate(prompt, sampling, adapter=ref, priority=priority):
            pass

    await generator.start()
    with acting_as(ME):
        running = asyncio.create_task(ask(None, Priority.BULK))
        await until(lambda: bench.backend.load.running == 1)
        waiting = asyncio.create_task(ask(one, Priority.BULK))
        await until(lambda: generator.describe().load["waiting_requests"] == 1)
        with pytest.raises(ResourceExhausted):
            await ask(two, Priority.BULK)
        assert bench.backend.adapters == [], "neither who waits nor who is refused has one"
        await asyncio.wait_for(ask(two, Priority.INTERACTIVE), 1)
        assert not waiting.done()
        await asyncio.gather(running, waiting)
    assert [adapter.name for adapter in bench.backend.adapters] == [f"{ME.tenant}/{one.sha256}"]
    await generator.stop()
