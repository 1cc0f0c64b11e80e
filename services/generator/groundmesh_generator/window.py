"""How many tokens a generation may have: what the model's window leaves."""

from groundmesh.errors import FieldViolation, InvalidArgument, Reason
from groundmesh_generator.backends.base import ModelInfo


def tokens_to_generate(
    asked: int | None, *, prompt_tokens: int, model: ModelInfo, max_output_tokens: int
) -> int:
    """The bound of an answer; InvalidArgument (INPUT_TOO_LONG) when the window is too small."""
    left = model.context_tokens - prompt_tokens
    if left < 1:
        raise _too_long(
            "prompt",
            f"has {prompt_tokens} tokens and leaves none for an answer",
            prompt_tokens=prompt_tokens,
            max_tokens=asked or 1,
            context_tokens=model.context_tokens,
        )
    if asked is None:
        return min(left, max_output_tokens)
    if asked > left:
        raise _too_long(
            "sampling.max_tokens",
            f"is {asked}, the prompt's {prompt_tokens} tokens leave {left}",
            prompt_tokens=prompt_tokens,
            max_tokens=asked,
            context_tokens=model.context_tokens,
        )
    return asked


def _too_long(
    field: str, fault: str, *, prompt_tokens: int, max_tokens: int, context_tokens: int
) -> InvalidArgument:
    description = f"{fault} of the model's window of {context_tokens} tokens"
    return InvalidArgument(
        f"{field}: {description}",
        reason=Reason.INPUT_TOO_LONG,
        fields=(FieldViolation(field, description),),
        metadata={
            "prompt_tokens": str(prompt_tokens),
            "max_tokens": str(max_tokens),
            "context_tokens": str(context_tokens),
        },
    )
