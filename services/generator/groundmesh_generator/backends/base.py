"""What the core asks of an engine that generates."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Literal, Protocol

from groundmesh_generator.prompts import Prompt
from groundmesh_generator.sampling import Sampling


class Priority(IntEnum):
    """Who goes first in the engine's own queue: the smaller."""

    INTERACTIVE = 0
    BULK = 1


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that an engine serves."""

    name: str
    revision: str
    context_tokens: int
    """Prompt and answer together."""
    cache_tokens: int = 0
    """Prompts and answers of all requests that run; 0 when the engine does not tell."""


@dataclass(frozen=True, slots=True)
class TokenizerFile:
    """What counts tokens elsewhere as the engine does."""

    json: bytes
    """Contents of a ``tokenizer.json``."""
    sha256: str
    """Of ``json``, in hex."""
    chat_template: str
    """In Jinja; empty when the model has none."""


@dataclass(frozen=True, slots=True)
class GenerationJob:
    """One generation, checked: it fits the window."""

    id: str
    """Never used twice."""
    token_ids: Sequence[int]
    sampling: Sampling
    max_tokens: int
    priority: Priority
    received_at: float
    """When the call came, by ``time.monotonic``."""


@dataclass(frozen=True, slots=True)
class Delta:
    """More text, whole characters only, and the tokens that it took."""

    text: str
    tokens: int


class FinishReason(StrEnum):
    """Why a generation ended."""

    STOP = "stop"
    """The model was done, or a stop text came."""
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds."""

    queue_s: float = 0.0
    """From the call to the begin of computation."""
    prefill_s: float = 0.0
    """From there to the first token."""
    decode_s: float = 0.0
    """From the first token to the last."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a generation; nothing comes after it."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int = 0
    """Whose state was found in the prefix cache."""
    timings: Timings = Timings()


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """The engine's own count of its requests, at this moment."""

    running: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class EngineLogs:
    """How the engine and its processes log."""

    level: str = "info"
    format: Literal["json", "text"] = "json"
    engine_level: str = "error"
    """Of the engine's own messages."""


@dataclass(frozen=True)
class BackendOptions:
    """What an engine loads, and how it runs it."""

    model: str
    """Short name, folder or hub name."""
    dtype: str = "bfloat16"
    context_tokens: int | None = None
    """None: the model's own window, on a CPU no more than suits one."""
    kv_cache_gib: float | None = None
    """None: what suits the device."""
    cpu_threads: str = "auto"
    """Cores that the engine's threads are bound to."""
    engine_args: Mapping[str, object] = field(default_factory=dict)
    """Any other argument of the engine itself, by its own name."""
    start_timeout_s: float = 600.0
    stop_timeout_s: float = 1.0
    """After it, what is left of the engine is killed; it keeps nothing that could be lost."""
    logs: EngineLogs = EngineLogs()


class Backend(Protocol):
    """An engine with one model. Where it is not said, it must have been started."""

    @property
    def name(self) -> str:
        """The engine's name; known before the start."""
        ...

    @property
    def version(self) -> str:
        """The engine's version; known before the start."""
        ...

    @property
    def load(self) -> EngineLoad:
        """What the engine itself counts; zeros before the start."""
        ...

    @property
    def model(self) -> ModelInfo | None:
        """The model served; None before the start."""
        ...

    @property
    def tokenizer(self) -> TokenizerFile:
        """The model's tokenizer."""
        ...

    async def start(self) -> None:
        """Load the model; raises MeshError."""

    async def check(self) -> None:
        """Return when the engine answers; Unavailable (ENGINE_DEAD) when it is dead."""

    async def stop(self) -> None:
        """End the engine and its processes, at any time and twice; bounded."""

    async def encode(self, prompt: Prompt, *, field: str) -> Sequence[int]:
        """The tokens of a prompt, template and special tokens included.

        InvalidArgument that names ``field`` for a conversation that the model's template refuses.
        """
        ...

    def generate(self, job: GenerationJob) -> AsyncGenerator[Delta | Finished, None]:
        """Deltas as they are made, then one ``Finished``.

        Closing the generator early, or cancelling it, aborts the job in the engine before it
        returns. Unavailable (ENGINE_DEAD) when the engine dies.
        """
        ...
