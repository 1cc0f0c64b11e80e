"""``GeneratorService``: translates messages and delegates to the core."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from groundmesh.errors import FieldViolation, InvalidArgument, Unimplemented
from groundmesh.server.app import Service
from groundmesh.server.checks import in_range, known_enum
from groundmesh.v1 import common_pb2, generator_pb2, generator_pb2_grpc
from groundmesh_generator.adapter_wire import adapter_message, adapter_ref
from groundmesh_generator.backends.base import Delta, Finished, FinishReason, Priority
from groundmesh_generator.core import Generator, Started
from groundmesh_generator.prompts import ChatPrompt, Message, Prompt, Role, TextPrompt
from groundmesh_generator.sampling import Sampling

SERVICE = generator_pb2.DESCRIPTOR.services_by_name["GeneratorService"].full_name

ROLES = {
    generator_pb2.ROLE_SYSTEM: Role.SYSTEM,
    generator_pb2.ROLE_USER: Role.USER,
    generator_pb2.ROLE_ASSISTANT: Role.ASSISTANT,
}
PRIORITIES = {
    common_pb2.PRIORITY_INTERACTIVE: Priority.INTERACTIVE,
    common_pb2.PRIORITY_BULK: Priority.BULK,
}
FINISH_REASONS = {
    FinishReason.STOP: generator_pb2.FINISH_REASON_STOP,
    FinishReason.LENGTH: generator_pb2.FINISH_REASON_LENGTH,
}
NOT_BUILT = ("n", "logprobs", "structured_output")
"""Fields of ``Sampling`` that are refused before it is read."""

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
        _refuse_what_is_not_built(request)
        events = self._generator.generate(
            _prompt(request.prompt, field="prompt"),
            _sampling(request.sampling),
            model=request.model,
            adapter=adapter_ref(request.adapter) if request.HasField("adapter") else None,
            priority=_priority(request.priority),
        )
        async with aclosing(events):
            async for event in events:
                yield _response(event)

    async def CountTokens(  # noqa: N802
        self, request: generator_pb2.CountTokensRequest, _context: Context
    ) -> generator_pb2.CountTokensResponse:
        """Count prompts."""
        served = self._generator.require_model(request.model)
        prompts = [
            _prompt(prompt, field=f"prompts[{index}]")
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
        took_s = await self._generator.prepare_adapter(adapter_ref(request.adapter))
        return generator_pb2.PrepareAdapterResponse(load_duration=_seconds(took_s))


def _refuse_what_is_not_built(request: generator_pb2.GenerateRequest) -> None:
    sampling = request.sampling
    if sampling.HasField("n"):
        in_range(sampling.n, field="sampling.n", low=1, high=2**31 - 1)
    for field, is_asked in {
        "sampling.n": sampling.n > 1,
        "sampling.logprobs": sampling.HasField("logprobs"),
        "sampling.structured_output": sampling.HasField("structured_output"),
    }.items():
        if is_asked:
            raise Unimplemented(
                f"{field}: is not built yet", fields=(FieldViolation(field, "is not built yet"),)
            )


def _prompt(prompt: generator_pb2.Prompt, *, field: str) -> Prompt:
    form = prompt.WhichOneof("form")
    if form == "text":
        return TextPrompt(prompt.text)
    if form == "chat":
        return ChatPrompt(
            tuple(
                _message(message, field=f"{field}.chat.messages[{index}]")
                for index, message in enumerate(prompt.chat.messages)
            )
        )
    raise InvalidArgument.of_field(field, "must hold a chat or a text")


def _message(message: generator_pb2.ChatMessage, *, field: str) -> Message:
    role = known_enum(message.role, generator_pb2.Role, field=f"{field}.role")
    return Message(ROLES[role], message.content)


def _sampling(sampling: generator_pb2.Sampling) -> Sampling:
    present = {field.name: value for field, value in sampling.ListFields()}
    stop = tuple(present.pop("stop", ()))
    return Sampling(**{k: v for k, v in present.items() if k not in NOT_BUILT}, stop=stop)


def _priority(priority: common_pb2.Priority.ValueType) -> Priority:
    default = common_pb2.PRIORITY_INTERACTIVE
    return PRIORITIES[known_enum(priority, common_pb2.Priority, field="priority", default=default)]


def _response(event: Started | Delta | Finished) -> generator_pb2.GenerateResponse:
    match event:
        case Started(model, prompt_tokens, adapter):
            started = generator_pb2.GenerationStarted(
                model=model,
                prompt_tokens=prompt_tokens,
                adapter=adapter_message(adapter) if adapter else None,
            )
            return generator_pb2.GenerateResponse(started=started)
        case Delta(text, tokens):
            delta = generator_pb2.GenerationDelta(text=text, tokens=tokens)
            return generator_pb2.GenerateResponse(delta=delta)
        case Finished():
            return generator_pb2.GenerateResponse(final=_final(event))


def _final(event: Finished) -> generator_pb2.GenerationFinal:
    timings = event.timings
    return generator_pb2.GenerationFinal(
        finish_reason=FINISH_REASONS[event.reason],
        usage=common_pb2.TokenUsage(
            prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens,
            cached_prompt_tokens=event.cached_prompt_tokens,
        ),
        queue_duration=_seconds(timings.queue_s),
        prefill_duration=_seconds(timings.prefill_s),
        decode_duration=_seconds(timings.decode_s),
    )


def _seconds(count: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(count * 1e6))
    return duration
