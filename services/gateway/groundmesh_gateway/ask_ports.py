"""What a question needs of the mesh: small protocols, and the values that go through them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from groundmesh.prompting import ChatTokens, Message, Reserved, TokenCounter
from groundmesh_gateway.finding import Finding, Vector

V = TypeVar("V")
F = TypeVar("F")


@dataclass(frozen=True)
class ModelTokens:
    """What there is to know of a model for writing a prompt for it."""

    model: str
    window: int
    max_answer: int
    chat: ChatTokens
    """What its chat template adds to the messages of a prompt."""
    count: TokenCounter
    reserved: Reserved
    at_most: TokenCounter | None = None
    """A bound of what ``count`` gives that costs nothing, where there is one."""


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

    async def embed_texts(self, texts: Sequence[str]) -> Sequence[Vector]:
        """A vector for each piece of a text, by the model that the passages have theirs of."""
        ...

    async def least_evidence(self) -> Mapping[str, float]:
        """The cosine that a passage of each calibrated collection must have; raises nothing."""
        ...

    async def model_tokens(self) -> ModelTokens:
        """The model that is to answer."""
        ...

    def find_for(self, text: str) -> None:
        """Find passages for this, and not for the question as it was put."""
        ...

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> str:
        """What the model says to this, without chance."""
        ...

    def generate(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> AsyncGenerator[Started | Piece | Done[F], None]:
        """Have it answered; closing this early aborts the work in the generator."""
        ...
