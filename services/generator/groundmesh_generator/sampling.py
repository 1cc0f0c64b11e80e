"""How the next token is chosen, and within which limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from groundmesh.errors import InvalidArgument
from groundmesh.server.checks import Checks, in_range, max_bytes, max_items
from groundmesh_generator.structured import StructuredOutput, check_structured, field_of

MAX_STOPS = 16
MAX_STOP_BYTES = 256
MAX_SEED = 2**63 - 1
MAX_ANSWERS = 16
MAX_LOGPROBS = 20

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a request sets; None is the model's own default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    n: int | None = None
    """How many answers; with a seed, each has one of its own made from it."""
    logprobs: int | None = None
    """How many of the likeliest tokens are told with each token."""
    structured_output: StructuredOutput | None = None

    @property
    def answers(self) -> int:
        """How many answers to generate."""
        return self.n or 1


def check_sampling(sampling: Sampling, *, field: str, max_output_tokens: int) -> None:
    """InvalidArgument that names every value out of its range; NaN is in none."""
    checks = Checks()
    for name, value, low, high in (
        ("temperature", sampling.temperature, 0.0, 2.0),
        ("min_p", sampling.min_p, 0.0, 1.0),
        ("presence_penalty", sampling.presence_penalty, -2.0, 2.0),
        ("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0),
    ):
        with checks:
            _between(value, field=f"{field}.{name}", low=low, high=high)
    with checks:
        _over_zero(sampling.top_p, field=f"{field}.top_p", high=1.0)
    with checks:
        _over_zero(sampling.repetition_penalty, field=f"{field}.repetition_penalty", high=2.0)
    with checks:
        _between(sampling.top_k, field=f"{field}.top_k", low=0, high=2**31 - 1)
    with checks:
        _between(sampling.seed, field=f"{field}.seed", low=0, high=MAX_SEED)
    with checks:
        _between(sampling.max_tokens, field=f"{field}.max_tokens", low=1, high=max_output_tokens)
    with checks:
        _between(sampling.n, field=f"{field}.n", low=1, high=MAX_ANSWERS)
    with checks:
        _not_all_the_same(sampling, field=f"{field}.n")
    with checks:
        _between(sampling.logprobs, field=f"{field}.logprobs", low=0, high=MAX_LOGPROBS)
    if (form := sampling.structured_output) is not None:
        with checks:
            check_structured(form, field=field_of(form, sampling=field))
    with checks:
        _check_stops(sampling.stop, field=f"{field}.stop")
    checks.raise_if_any()


def _between(value: Number | None, *, field: str, low: Number, high: Number) -> None:
    if value is not None:
        in_range(value, field=field, low=low, high=high)


def _over_zero(value: float | None, *, field: str, high: float) -> None:
    if value is not None and not 0 < value <= high:
        raise InvalidArgument.of_field(field, f"must be over 0 and up to {high}, not {value}")


def _not_all_the_same(sampling: Sampling, *, field: str) -> None:
    if sampling.answers > 1 and sampling.temperature == 0:
        raise InvalidArgument.of_field(
            field, "must be 1 where the temperature is 0: all answers would be the same"
        )


def _check_stops(stops: Sequence[str], *, field: str) -> None:
    max_items(len(stops), field=field, limit=MAX_STOPS)
    for index, stop in enumerate(stops):
        if not stop:
            raise InvalidArgument.of_field(f"{field}[{index}]", "must not be empty")
        max_bytes(stop, field=f"{field}[{index}]", limit=MAX_STOP_BYTES)
