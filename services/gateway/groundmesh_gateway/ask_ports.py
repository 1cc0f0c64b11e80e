"""What a question needs of the mesh: small protocols, and the values that go through them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from groundmesh.prompting import Message, Reserved, TokenCounter
from groundmesh_gateway.finding import Finding

V = TypeVar("V")
F = TypeVar("F")


@dataclass(frozen=True)
class ModelTokens:
    """What there is to know of a model for writing a prompt for it."""

    model: str
    window: int
    max_answer: int
    template: int
    """Tokens that its chat template adds to the messages of a prompt."""
    count: TokenCounter
    reserved: Reserved


@dataclass(frozen=True)
class Started:
    """The generator has the prompt."""

    model: str


@dataclass(frozen=True)
class Piece:
    """More of the answer as the model writes it."""

    text: str


@dataclass(frozen=True)
class Done(Generic[F]):
    """The model is done; ``finish`` is the generator's own account."""

    finish: F


class Asking(Finding[V], Protocol[V, F]):
    """What answering one question needs of the mesh."""

    async def least_evidence(self) -> Mapping[str, float]:
        """The cosine that a passage of each calibrated collection must have; raises nothing."""
        ...

    async def model_tokens(self) -> ModelTokens:
        """The model that is to answer."""
        ...

    def generate(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> AsyncGenerator[Started | Piece | Done[F], None]:
        """Have it answered; closing this early aborts the work in the generator."""
        ...
