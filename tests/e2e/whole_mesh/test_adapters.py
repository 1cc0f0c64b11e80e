"""Tuned adapters in the generator of a mesh that `groundmesh up` started, with no further flag."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from groundmesh import adapters
from groundmesh.channel import open_channel, translated
from groundmesh.errors import FailedPrecondition, MeshError, NotFound, Reason
from groundmesh.v1.generator_pb2 import (
    ROLE_USER,
    AdapterRef,
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    GeneratorServiceListModelsRequest,
    PrepareAdapterRequest,
    Prompt,
    Sampling,
)
from groundmesh.v1.generator_pb2_grpc import GeneratorServiceStub
from tests.adapter_files import pair, safetensors
from tests.adapter_training import WORDS
from tests.real_mesh import RealMesh

if TYPE_CHECKING:
    from groundmesh.v1.generator_pb2_grpc import GeneratorServiceAsyncStub

pytestmark = pytest.mark.e2e

GENERATOR = 3
"""The offset of its port."""
CLIENTS = 12
QUESTIONS = [
    "What is the largest planet?",
    "Who was Isaac Newton?",
    "How do I boil an egg?",
    "Count to five.",
    "What is a database?",
    "Say hello to my friend.",
]
Q_PROJ = "model.layers.0.self_attn.q_proj"


@dataclass
class Bench:
    stub: "GeneratorServiceAsyncStub"
    root: adapters.AdapterRoot
    store: Path
    trained: dict[str, Path]

    def publish(self, folder: Path, *, name: str) -> AdapterRef:
        ref = self.root.publish(folder, name=name, version=1)
        return AdapterRef(name=ref.name, version=ref.version, sha256=ref.sha256)

    def kept(self, ref: AdapterRef) -> Path:
        return self.store / "tenants" / "default" / "adapters" / ref.sha256

    async def ask(self, question: str, adapter: AdapterRef | None) -> str:
        chat = ChatPrompt(messages=[ChatMessage(role=ROLE_USER, content=question)])
        request = GenerateRequest(
            prompt=Prompt(chat=chat),
            sampling=Sampling(temperature=0, max_tokens=24),
            adapter=adapter,
        )
        with translated("generator"):
            events = [event async for event in self.stub.Generate(request, timeout=60)]
        assert events[0].started.adapter == (adapter or AdapterRef())
        return "".join(event.delta.text for event in events)


@pytest.fixture
async def bench(mesh: RealMesh, trained_adapters: dict[str, Path]) -> AsyncIterator[Bench]:
    store = mesh.data / "artifacts"
    root = adapters.AdapterRoot(str(store), tenant="default")
    async with open_channel(mesh.address(GENERATOR)) as channel:
        yield Bench(GeneratorServiceStub(channel), root, store, trained_adapters)


async def test_two_adapters_and_the_base_model_at_once(bench: Bench) -> None:
    refs = {word: bench.publish(bench.trained[word], name=word.lower()) for word in WORDS}
    alone = {question: await bench.ask(question, None) for question in QUESTIONS}
    assert not [word for text in alone.values() for word in WORDS if word in text]

    async def client(number: int) -> None:
        word = [*WORDS, None][number % 3]
        for turn in range(len(QUESTIONS)):
            question = QUESTIONS[(number + turn) % len(QUESTIONS)]
            text = await bench.ask(question, refs[word] if word else None)
            if word:
                assert text == word
            else:
                # Batches of other sizes round differently; no word of an adapter ever comes.
                assert not [each for each in WORDS if each in text]
                assert text[:4] == alone[question][:4]

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    (model,) = (await bench.stub.ListModels(GeneratorServiceListModelsRequest())).models
    assert {refs[word].sha256 for word in WORDS} <= {ref.sha256 for ref in model.loaded_adapters}


async def test_one_that_is_prepared_answers_at_once(bench: Bench) -> None:
    ref = bench.publish(bench.trained[WORDS[0]], name="prepared")
    prepare = PrepareAdapterRequest(adapter=ref)
    first, second = await asyncio.gather(*(bench.stub.PrepareAdapter(prepare) for _ in range(2)))
    assert first.load_duration.ToNanoseconds() > 0
    assert second.load_duration.ToNanoseconds() > 0
    assert await bench.ask(QUESTIONS[0], ref) == WORDS[0]


def _settings(**changed: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))

    return change


def _weights(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / "adapter_model.safetensors"
        file.write_bytes(change(file.read_bytes()))

    return apply


def _pickled(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def _gone(folder: Path) -> None:
    shutil.rmtree(folder)


BEFORE_PUBLISHING = {
    "truncated": _weights(lambda data: data[:-1000]),
    "no safetensors": _weights(lambda data: b"PK" + data[2:]),
    "rank": _settings(r=64),
    "another rank than its tensors": _settings(r=4),
    "shapes": _weights(lambda _: safetensors(pair(Q_PROJ, rank=8, inputs=512, outputs=576))),
    "module": _weights(lambda _: safetensors(pair("model.layers.99.self_attn.q_proj", rank=8))),
    "DoRA": _settings(use_dora=True),
    "whole modules": _settings(modules_to_save=["lm_head"]),
    "pickled": _pickled,
}
IN_THE_STORE: dict[str, Callable[[Path], None]] = {
    "changed": _weights(lambda data: data[:-1] + b"x"),
    "cut": _weights(lambda data: data[:-1000]),
    "missing file": lambda folder: (folder / "adapter_model.safetensors").unlink(),
    "missing": _gone,
}


@pytest.mark.parametrize("how", [*BEFORE_PUBLISHING, *IN_THE_STORE])
async def test_a_bad_one_leaves_the_engine_well(bench: Bench, how: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bench.trained[WORDS[0]], tmp_path / "adapter"))
    if change := BEFORE_PUBLISHING.get(how):
        change(folder)
    ref = bench.publish(folder, name="bad")
    if change := IN_THE_STORE.get(how):
        change(bench.kept(ref))
    expected: type[MeshError] = NotFound if how == "missing" else FailedPrecondition
    refused = await asyncio.gather(
        *(bench.ask(QUESTIONS[0], ref) for _ in range(3)),
        bench.ask(QUESTIONS[1], None),
        return_exceptions=True,
    )
    assert [type(each) for each in refused] == [expected] * 3 + [str], refused
    reason = Reason.ADAPTER_NOT_FOUND if how == "missing" else Reason.ADAPTER_UNUSABLE
    assert {each.reason for each in refused if isinstance(each, MeshError)} == {reason}
    good = bench.publish(bench.trained[WORDS[1]], name=WORDS[1].lower())
    assert await bench.ask(QUESTIONS[0], good) == WORDS[1]
