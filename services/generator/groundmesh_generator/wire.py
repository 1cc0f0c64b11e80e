"""Between the messages of ``generator.proto`` and what the core speaks of."""

from google.protobuf.duration_pb2 import Duration

from groundmesh.errors import FieldViolation, InvalidArgument, Unimplemented
from groundmesh.server.checks import in_range, known_enum
from groundmesh.v1 import common_pb2, generator_pb2
from groundmesh_generator.backends.base import Delta, Finished, FinishReason, Priority
from groundmesh_generator.core import Started
from groundmesh_generator.prompts import ChatPrompt, Message, Prompt, Role, TextPrompt
from groundmesh_generator.sampling import Sampling

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


def refuse_what_is_not_built(request: generator_pb2.GenerateRequest) -> None:
    """Unimplemented that names a field which is defined, and not built yet."""
    sampling = request.sampling
    if sampling.HasField("n"):
        in_range(sampling.n, field="sampling.n", low=1, high=2**31 - 1)
    for field, is_asked in {
        "adapter": request.HasField("adapter"),
        "sampling.n": sampling.n > 1,
        "sampling.logprobs": sampling.HasField("logprobs"),
        "sampling.structured_output": sampling.HasField("structured_output"),
    }.items():
        if is_asked:
            raise Unimplemented(
                f"{field}: is not built yet", fields=(FieldViolation(field, "is not built yet"),)
            )


def prompt_of(prompt: generator_pb2.Prompt, *, field: str) -> Prompt:
    """The prompt that was sent as ``field``."""
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


def sampling_of(sampling: generator_pb2.Sampling) -> Sampling:
    """What was set; the rest is None."""
    present = {field.name: value for field, value in sampling.ListFields()}
    stop = tuple(present.pop("stop", ()))
    return Sampling(**{k: v for k, v in present.items() if k not in NOT_BUILT}, stop=stop)


def priority_of(priority: common_pb2.Priority.ValueType) -> Priority:
    """Who goes first; unset is INTERACTIVE."""
    default = common_pb2.PRIORITY_INTERACTIVE
    return PRIORITIES[known_enum(priority, common_pb2.Priority, field="priority", default=default)]


def response_of(event: Started | Delta | Finished) -> generator_pb2.GenerateResponse:
    """An event as it is sent."""
    match event:
        case Started(model, prompt_tokens):
            started = generator_pb2.GenerationStarted(model=model, prompt_tokens=prompt_tokens)
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
