"""The generator as a process over an endpoint that somebody else runs."""

import asyncio
from pathlib import Path

import pytest

from groundmesh.channel import open_channel
from groundmesh.v1.generator_pb2 import (
    FINISH_REASON_STOP,
    ROLE_USER,
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    Prompt,
)
from groundmesh.v1.generator_pb2_grpc import GeneratorServiceStub
from tests.fakes.openai_endpoint import MODEL, openai_endpoint
from tests.service_process import service_process

KEY = "sk-very-secret"


async def test_it_serves_over_an_endpoint_and_gives_up_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDMESH_GENERATOR_API_KEY", KEY)
    prompt = Prompt(chat=ChatPrompt(messages=[ChatMessage(role=ROLE_USER, content="Hi")]))
    async with openai_endpoint() as endpoint:
        flags = (
            *("--backend", "openai", "--endpoint", endpoint.url, "--model", MODEL),
            *("--context-tokens", "1000", "--engine-check-interval-s", "0.1"),
        )
        async with service_process("groundmesh_generator", *flags, folder=tmp_path) as service:
            async with open_channel(await service.ready(within_s=60)) as channel:
                call = GeneratorServiceStub(channel).Generate(GenerateRequest(prompt=prompt))
                events = [event async for event in call]
            assert "".join(event.delta.text for event in events) == "Hello there"
            assert events[-1].final.finish_reason == FINISH_REASON_STOP
            assert set(endpoint.keys) == {f"bearer {KEY}"}
            assert KEY not in service.log.read_text()

            endpoint.status = 503
            assert await asyncio.wait_for(service.process.wait(), 60) == 1
            assert "503" in service.log.read_text()
