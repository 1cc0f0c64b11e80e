"""What a question needs of the mesh: small protocols, and the values that go through them."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from groundmesh.prompting import Message, Passage, Reserved, TokenCounter

V = TypeVar("V")
F = TypeVar("F")


@dataclass(frozen=True)
class Embedded(Generic[V]):
    """The query's vector, as the search takes it."""

    vector: V
    truncated: bool


@dataclass(frozen=True)
class FoundPassage:
    """A chunk that was found; ``start_byte`` is where it begins in its document's text."""

    passage: Passage
    start_byte: int
    cosine: float | None
    """Its nearness to the question; None when the dense search did not find it."""


@dataclass(frozen=True)
class Found:
    """What a search found, best first, and what of it did not run, in plain words."""

    passages: Sequence[FoundPassage]
    degraded: tuple[str, ...] = ()


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


class Finding(Protocol[V]):
    """What finding passages for one query needs of the mesh."""

    @property
    def wants_vector(self) -> bool:
        """Whether the search is by nearness, too."""
        ...

    async def embed(self) -> Embedded[V]:
        """The query's vector."""
        ...

    async def search(self, vector: V | None) -> Found:
        """The passages for the query."""
        ...


class Asking(Finding[V], Protocol[V, F]):
    """What answering one question needs of the mesh."""

    async def model_tokens(self) -> ModelTokens:
        """The model that is to answer."""
        ...

    def generate(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> AsyncGenerator[Started | Piece | Done[F], None]:
        """Have it answered; closing this early aborts the work in the generator."""
        ...
