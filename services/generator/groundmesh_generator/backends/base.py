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
    """Empty when the engine does not say."""
    context_tokens: int
    """Prompt and answer together."""
    folder: str = ""
    """Of its weights on this machine; empty when they are not on it."""
    cache_tokens: int = 0
    """Prompts and answers of all requests that run; 0 when the engine does not tell."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A tuned adapter of the model, checked to fit it, in a folder of this machine."""

    name: str
    """Of its content: the same name is the same weights."""
    number: int
    """From 1; no other that is ever loaded has it."""
    folder: str


@dataclass(frozen=True)
class AdapterLimits:
    """How many adapters an engine makes room for."""

    max_loaded: int = 16
    """In memory."""
    max_in_batch: int = 4
    """That are computed with at the same time; no more than are loaded."""
    max_rank: int = 16


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
    prompt: Prompt
    token_ids: Sequence[int]
    """Of the prompt, as ``Backend.encode`` gave them."""
    sampling: Sampling
    max_tokens: int
    priority: Priority
    received_at: float
    """When the call came, by ``time.monotonic``."""
    adapter: Adapter | None = None
    """Loaded, and not unloaded before the job is over."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability."""

    text: str
    """With a replacement character for bytes that are no whole character."""
    token_id: int | None
    """None when the engine does not say."""
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """A token that was chosen, and the likeliest in its place."""

    chosen: TokenLogprob
    likeliest: tuple[TokenLogprob, ...]
    """Likeliest first."""


@dataclass(frozen=True, slots=True)
class Delta:
    """More text, whole characters only, and the tokens that it took."""

    text: str
    tokens: int
    index: int = 0
    """Which of the answers it belongs to."""
    logprobs: tuple[TokenLogprobs, ...] = ()
    """Of those tokens, when they were asked for."""


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
    knows_queue: bool = True
    """Whether what the engine itself let it wait is in ``queue_s``; else it is in ``prefill_s``."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a generation; nothing comes after it."""

    reasons: tuple[FinishReason, ...]
    """Why each of the answers ended, by index."""
    prompt_tokens: int
    completion_tokens: int
    """Of all answers together."""
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
    endpoint: str = ""
    """URL of an engine that runs elsewhere."""
    api_key: str = field(default="", repr=False)
    """Of that endpoint."""
    endpoint_timeout_s: float = 60.0
    """How long that endpoint may say nothing."""
    tokenizer: str = ""
    """That of the model there: short name, folder or hub name; empty: nobody here knows it."""
    adapters: AdapterLimits | None = None
    """None: it serves none, and nothing is kept for them."""


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
    def warm_ups(self) -> Sequence[Prompt]:
        """Prompts, at least one, that any model which it may have can continue."""
        ...

    @property
    def tokenizer(self) -> TokenizerFile:
        """The model's tokenizer; Unimplemented when the engine keeps it to itself."""
        ...

    @property
    def takes_adapters(self) -> bool:
        """Whether adapters can be loaded: they were asked for, and engine and model can."""
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
        Empty when nobody on this side of the engine has its tokenizer: then the engine itself
        counts, and refuses what does not fit its window.
        """
        ...

    async def accept(self, sampling: Sampling, *, field: str) -> None:
        """Return when the engine can do all that a checked ``sampling`` asks for.

        Unimplemented that names the part of ``field`` which it can't do; InvalidArgument that names
        a form of answer which can't be compiled. The engine itself is not touched.
        """

    async def load_adapter(self, adapter: Adapter) -> None:
        """Load one more, of at most ``AdapterLimits.max_loaded``; jobs go on meanwhile.

        FailedPrecondition (ADAPTER_UNUSABLE) when the engine refuses it, which leaves nothing.
        """

    async def unload_adapter(self, adapter: Adapter) -> None:
        """Forget a loaded one, which no job uses."""

    def generate(self, job: GenerationJob) -> AsyncGenerator[Delta | Finished, None]:
        """Deltas as they are made, then one ``Finished``.

        Closing the generator early, or cancelling it, aborts the job in the engine before it
        returns. Unavailable (ENGINE_DEAD) when the engine dies.
        """
        ...
