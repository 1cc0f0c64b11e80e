"""Between the messages of ``generator.proto`` and what the core speaks of."""

from google.protobuf.duration_pb2 import Duration

from groundmesh.adapters import AdapterRef
from groundmesh.errors import InvalidArgument
from groundmesh.server.checks import known_enum
from groundmesh.v1 import common_pb2, generator_pb2
from groundmesh_generator.backends.base import (
    Delta,
    Finished,
    FinishReason,
    Priority,
    TokenLogprob,
)
from groundmesh_generator.core import Started
from groundmesh_generator.prompts import ChatPrompt, Message, Prompt, Role, TextPrompt
from groundmesh_generator.sampling import Sampling
from groundmesh_generator.structured import (
    Choices,
    Grammar,
    JsonSchema,
    Regex,
    StructuredOutput,
)

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


def adapter_of(message: generator_pb2.AdapterRef) -> AdapterRef:
    """The adapter that a request names; InvalidArgument names the field of it that can't be."""
    try:
        return AdapterRef(message.name, message.version, message.sha256)
    except ValueError as error:
        field, _, description = str(error).partition(": ")
        raise InvalidArgument.of_field(f"adapter.{field}", description) from error


def adapter_message(ref: AdapterRef) -> generator_pb2.AdapterRef:
    """An adapter as it is sent."""
    return generator_pb2.AdapterRef(name=ref.name, version=ref.version, sha256=ref.sha256)


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


def sampling_of(sampling: generator_pb2.Sampling, *, field: str) -> Sampling:
    """What was set; the rest is None."""
    present = {each.name: value for each, value in sampling.ListFields()}
    stop = tuple(present.pop("stop", ()))
    if form := present.pop("structured_output", None):
        present["structured_output"] = _structured(form, field=f"{field}.structured_output")
    return Sampling(**present, stop=stop)


def _structured(form: generator_pb2.StructuredOutput, *, field: str) -> StructuredOutput:
    match form.WhichOneof("form"):
        case "json_schema":
            return JsonSchema(form.json_schema)
        case "regex":
            return Regex(form.regex)
        case "choices":
            return Choices(tuple(form.choices.values))
        case "grammar":
            return Grammar(form.grammar)
        case _:
            raise InvalidArgument.of_field(
                field, "must hold a json_schema, a regex, choices or a grammar"
            )


def priority_of(priority: common_pb2.Priority.ValueType) -> Priority:
    """Who goes first; unset is INTERACTIVE."""
    default = common_pb2.PRIORITY_INTERACTIVE
    return PRIORITIES[known_enum(priority, common_pb2.Priority, field="priority", default=default)]


def response_of(event: Started | Delta | Finished) -> generator_pb2.GenerateResponse:
    """An event as it is sent."""
    match event:
        case Started(model, prompt_tokens, adapter):
            started = generator_pb2.GenerationStarted(
                model=model,
                prompt_tokens=prompt_tokens,
                adapter=adapter_message(adapter) if adapter else None,
            )
            return generator_pb2.GenerateResponse(started=started)
        case Delta():
            return generator_pb2.GenerateResponse(delta=_delta(event))
        case Finished():
            return generator_pb2.GenerateResponse(final=_final(event))


def _delta(event: Delta) -> generator_pb2.GenerationDelta:
    return generator_pb2.GenerationDelta(
        index=event.index,
        text=event.text,
        tokens=event.tokens,
        logprobs=[
            generator_pb2.TokenLogprobs(
                chosen=_logprob(each.chosen), likeliest=map(_logprob, each.likeliest)
            )
            for each in event.logprobs
        ],
    )


def _logprob(token: TokenLogprob) -> generator_pb2.TokenLogprob:
    return generator_pb2.TokenLogprob(
        text=token.text, token_id=token.token_id, logprob=token.logprob
    )


def _final(event: Finished) -> generator_pb2.GenerationFinal:
    timings, reasons = event.timings, [FINISH_REASONS[reason] for reason in event.reasons]
    return generator_pb2.GenerationFinal(
        finish_reason=reasons[0],
        finish_reasons=reasons,
        usage=common_pb2.TokenUsage(
            prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens,
            cached_prompt_tokens=event.cached_prompt_tokens,
        ),
        queue_duration=duration_of(timings.queue_s),
        prefill_duration=duration_of(timings.prefill_s),
        decode_duration=duration_of(timings.decode_s),
    )


def duration_of(count: float) -> Duration:
    """Seconds as they are sent."""
    duration = Duration()
    duration.FromMicroseconds(round(count * 1e6))
    return duration
