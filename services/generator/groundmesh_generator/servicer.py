"""``GeneratorService``: translates messages and delegates to the core."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc.aio

from groundmesh.server.app import Service
from groundmesh.v1 import generator_pb2, generator_pb2_grpc
from groundmesh_generator.core import Generator
from groundmesh_generator.wire import (
    adapter_message,
    adapter_of,
    duration_of,
    priority_of,
    prompt_of,
    response_of,
    sampling_of,
)

SERVICE = generator_pb2.DESCRIPTOR.services_by_name["GeneratorService"].full_name

Context = grpc.aio.ServicerContext[Any, Any]


def generator_service(generator: Generator) -> Service:
    """The generator as the chassis serves it."""
    servicer = GeneratorServicer(generator)
    return Service(
        name="generator",
        engine=generator,
        register=partial(generator_pb2_grpc.add_GeneratorServiceServicer_to_server, servicer),
        grpc_services=(SERVICE,),
    )


class GeneratorServicer(generator_pb2_grpc.GeneratorServiceServicer):
    """See ``generator.proto``."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    async def Generate(  # noqa: N802 - the contract's name
        self, request: generator_pb2.GenerateRequest, _context: Context
    ) -> AsyncIterator[generator_pb2.GenerateResponse]:
        """Generate and stream."""
        events = self._generator.generate(
            prompt_of(request.prompt, field="prompt"),
            sampling_of(request.sampling, field="sampling"),
            model=request.model,
            adapter=adapter_of(request.adapter) if request.HasField("adapter") else None,
            priority=priority_of(request.priority),
        )
        async with aclosing(events):
            async for event in events:
                yield response_of(event)

    async def CountTokens(  # noqa: N802
        self, request: generator_pb2.CountTokensRequest, _context: Context
    ) -> generator_pb2.CountTokensResponse:
        """Count prompts."""
        served = self._generator.require_model(request.model)
        prompts = [
            prompt_of(prompt, field=f"prompts[{index}]")
            for index, prompt in enumerate(request.prompts)
        ]
        counts = await self._generator.count_tokens(prompts, model=request.model)
        return generator_pb2.CountTokensResponse(model=served.name, token_counts=counts)

    async def GetTokenizer(  # noqa: N802
        self, request: generator_pb2.GeneratorServiceGetTokenizerRequest, _context: Context
    ) -> generator_pb2.GeneratorServiceGetTokenizerResponse:
        """Hand out the tokenizer."""
        served = self._generator.require_model(request.model)
        tokenizer = self._generator.tokenizer(request.model)
        return generator_pb2.GeneratorServiceGetTokenizerResponse(
            model=served.name,
            tokenizer_json=tokenizer.json,
            sha256=tokenizer.sha256,
            context_tokens=served.context_tokens,
            chat_template=tokenizer.chat_template,
        )

    async def ListModels(  # noqa: N802
        self, _request: generator_pb2.GeneratorServiceListModelsRequest, _context: Context
    ) -> generator_pb2.GeneratorServiceListModelsResponse:
        """List the model served."""
        served = self._generator.require_model()
        model = generator_pb2.GeneratorModel(
            model=served.name,
            revision=served.revision,
            context_tokens=served.context_tokens,
            max_output_tokens=self._generator.options.max_output_tokens,
            loaded_adapters=map(adapter_message, self._generator.adapters.loaded()),
        )
        return generator_pb2.GeneratorServiceListModelsResponse(models=[model])

    async def PrepareAdapter(  # noqa: N802
        self, request: generator_pb2.PrepareAdapterRequest, _context: Context
    ) -> generator_pb2.PrepareAdapterResponse:
        """Load an adapter before it is needed."""
        took_s = await self._generator.prepare_adapter(adapter_of(request.adapter))
        return generator_pb2.PrepareAdapterResponse(load_duration=duration_of(took_s))
