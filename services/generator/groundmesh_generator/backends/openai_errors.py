"""What an OpenAI-compatible endpoint says is wrong, as our own errors."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import openai

from groundmesh.errors import (
    FailedPrecondition,
    Internal,
    InvalidArgument,
    MeshError,
    NotFound,
    Reason,
    ResourceExhausted,
    Unavailable,
)

DEFAULT_RETRY_S = 1.0
"""For an endpoint that is busy and does not say how long."""
_TOO_LONG = ("context_length_exceeded", "context length")


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the endpoint, or the way to it, raises in the block as a MeshError."""
    try:
        yield
    except openai.APIStatusError as error:
        raise _of_status(error.status_code, error.message, error.response.headers) from error
    except openai.APIConnectionError as error:
        why = error.__cause__ or error
        raise Unavailable(
            f"the endpoint can't be reached: {type(why).__name__}: {why}",
            reason=Reason.SERVICE_UNREACHABLE,
        ) from error
    except openai.APIError as error:  # in the middle of a stream: its status is in the body
        status = error.body.get("code") if isinstance(error.body, Mapping) else None
        known = status if isinstance(status, int) else HTTPStatus.BAD_GATEWAY
        raise _of_status(known, error.message, {}) from error
    except (openai.OpenAIError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise Internal(f"the endpoint does not speak OpenAI's protocol: {error!r}") from error


def _of_status(status: int, message: str, headers: Mapping[str, str]) -> MeshError:
    said = f"the endpoint answers {status}: {message}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return FailedPrecondition(f"{said} (the API key is a setting of this generator)")
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(said, reason=Reason.MODEL_NOT_FOUND)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait_s = _retry_after_s(headers.get("retry-after", ""))
        return ResourceExhausted(said, reason=Reason.OVERLOADED, retry_after_s=wait_s)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(said, reason=Reason.SERVICE_UNREACHABLE)
    if any(sign in message for sign in _TOO_LONG):
        return InvalidArgument(said, reason=Reason.INPUT_TOO_LONG)
    return InvalidArgument(said)


def _retry_after_s(header: str) -> float:
    """The seconds that a ``Retry-After`` asks for: a number, or a date."""
    with suppress(ValueError):
        return max(0.0, float(header))
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    return DEFAULT_RETRY_S
