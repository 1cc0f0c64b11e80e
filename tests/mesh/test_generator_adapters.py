"""Adapters over the wire, on the production chassis, with a fake engine."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from groundmesh import adapters
from groundmesh.channel import open_channel, translated
from groundmesh.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Reason,
    Unimplemented,
)
from groundmesh.testing import running
from groundmesh.v1.generator_pb2 import (
    AdapterRef,
    GenerateRequest,
    GenerateResponse,
    GeneratorServiceListModelsRequest,
    PrepareAdapterRequest,
    Prompt,
    Sampling,
)
from groundmesh.v1.generator_pb2_grpc import GeneratorServiceStub
from groundmesh_generator.adapters.adapters import AdapterOptions
from groundmesh_generator.adapters.disk import DiskOptions
from groundmesh_generator.backends.base import AdapterLimits
from tests.adapter_files import write_adapter
from tests.fakes.paced_generator import PacedBackend, paced_generator

if TYPE_CHECKING:
    from groundmesh.v1.generator_pb2_grpc import GeneratorServiceAsyncStub

HASH = "0" * 64


@dataclass
class Bench:
    folder: Path
    backend: PacedBackend
    stub: "GeneratorServiceAsyncStub"

    def publish(self, name: str, **config: object) -> AdapterRef:
        root = adapters.AdapterRoot(str(self.folder / "root"), tenant="default")
        made = write_adapter(self.folder / name, **config)  # type: ignore[arg-type]
        ref = root.publish(made, name=name, version=7)
        return AdapterRef(name=ref.name, version=ref.version, sha256=ref.sha256)

    async def generate(self, adapter: AdapterRef) -> list[GenerateResponse]:
        request = GenerateRequest(
            prompt=Prompt(text="one two"), sampling=Sampling(max_tokens=2), adapter=adapter
        )
        with translated("generator"):
            return [event async for event in self.stub.Generate(request, timeout=10)]

    async def prepare(self, adapter: AdapterRef) -> Any:
        with translated("generator"):
            return await self.stub.PrepareAdapter(
                PrepareAdapterRequest(adapter=adapter), timeout=10
            )

    async def loaded(self) -> list[AdapterRef]:
        (model,) = (await self.stub.ListModels(GeneratorServiceListModelsRequest())).models
        return list(model.loaded_adapters)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    backend = PacedBackend()
    disk = DiskOptions(str(tmp_path / "root"), max_bytes=10**6)
    service = paced_generator(backend, adapters=AdapterOptions(disk, AdapterLimits()))
    async with running(service) as server, open_channel(server.address) as channel:
        backend.jobs.clear()  # of the start
        yield Bench(tmp_path, backend, GeneratorServiceStub(channel))


async def test_an_answer_says_which_adapter_ran(bench: Bench) -> None:
    ref = bench.publish("support-bot")
    events = await bench.generate(ref)
    assert events[0].started.adapter == ref
    assert [job.adapter for job in bench.backend.jobs] == bench.backend.adapters
    assert await bench.loaded() == [ref]


async def test_one_that_was_prepared_is_there(bench: Bench) -> None:
    bench.backend.load_s = 0.05
    ref = bench.publish("support-bot")
    first, second = await bench.prepare(ref), await bench.prepare(ref)
    assert first.load_duration.ToMilliseconds() >= 50 > second.load_duration.ToMilliseconds()
    assert await bench.loaded() == [ref]


@pytest.mark.parametrize(
    ("adapter", "field"),
    [
        (AdapterRef(), "adapter.name"),
        (AdapterRef(name="s3://bucket/x", version=1, sha256=HASH), "adapter.name"),
        (AdapterRef(name="bot", sha256=HASH), "adapter.version"),
        (AdapterRef(name="bot", version=1, sha256="../../x"), "adapter.sha256"),
    ],
)
async def test_a_wrong_reference_is_named(bench: Bench, adapter: AdapterRef, field: str) -> None:
    for call in (bench.generate, bench.prepare):
        with pytest.raises(InvalidArgument) as refused:
            await call(adapter)
        assert [violation.field for violation in refused.value.fields] == [field]


async def test_what_is_missing_or_bad_says_so_before_anything_starts(bench: Bench) -> None:
    for call in (bench.generate, bench.prepare):
        with pytest.raises(NotFound) as missing:
            await call(AdapterRef(name="bot", version=1, sha256=HASH))
        assert missing.value.reason is Reason.ADAPTER_NOT_FOUND
        with pytest.raises(FailedPrecondition, match="use_dora") as bad:
            await call(bench.publish("dora", use_dora=True))
        assert bad.value.reason is Reason.ADAPTER_UNUSABLE
    assert bench.backend.jobs == []


async def test_a_generator_without_an_artifact_root_serves_none(tmp_path: Path) -> None:
    async with running(paced_generator()) as server, open_channel(server.address) as channel:
        bench = Bench(tmp_path, PacedBackend(), GeneratorServiceStub(channel))
        for call in (bench.generate, bench.prepare):
            with pytest.raises(Unimplemented) as refused:
                await call(AdapterRef(name="bot", version=1, sha256=HASH))
            assert [violation.field for violation in refused.value.fields] == ["adapter"]
