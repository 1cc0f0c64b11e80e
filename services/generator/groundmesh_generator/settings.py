"""The generator's settings."""

from dataclasses import dataclass, field
from typing import Any, Literal

from groundmesh.addresses import default_port
from groundmesh.models import DEFAULT_GENERATION_MODEL
from groundmesh.server.settings import ServerSettings
from groundmesh_generator.admission import AdmissionLimits
from groundmesh_generator.backends import BACKENDS
from groundmesh_generator.backends.base import BackendOptions, EngineLogs
from groundmesh_generator.core import GeneratorOptions

LEAST = {
    "max_output_tokens": 1,
    "context_tokens": 2,
    "kv_cache_gib": 0.01,
    "start_timeout_s": 1,
    "max_waiting_tokens": 0,
    "max_wait_s": 0,
    "max_running_bulk": 1,
    "max_waiting_bulk": 0,
}


@dataclass(frozen=True)
class GeneratorSettings(ServerSettings):
    """Groundmesh's generator: messages to streamed tokens."""

    port: int = default_port("generator")
    """Port to listen on; 0 takes a free one and logs it."""
    model: str = DEFAULT_GENERATION_MODEL
    """Model: short name, folder or hub name."""
    backend: str = "vllm"
    """Engine that runs the model."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "bfloat16"
    """Type in which the model computes; auto takes that of its weights."""
    context_tokens: int | None = None
    """Prompt and answer together; unset takes the model's window, on a CPU 4096 at most."""
    max_output_tokens: int = 1024
    """Tokens of one answer."""
    kv_cache_gib: float | None = None
    """Memory for the state of running requests and for prefixes that are kept; unset takes 1 GiB
    on a CPU, and on a GPU what vLLM takes."""
    cpu_threads: str = "auto"
    """Cores of the engine's threads on a CPU, such as 0-3; auto keeps one core for the others."""
    engine_args: dict[str, Any] = field(default_factory=dict)
    """Any other argument of vLLM's engine, as JSON: {"tensor_parallel_size": 2}."""
    engine_log_level: Literal["debug", "info", "warning", "error"] = "error"
    """Least severe messages of the engine itself that are logged; its warnings at a normal start
    on a CPU are a dozen, and none asks for anything to be done."""
    start_timeout_s: float = 600.0
    """How long loading the model may take."""
    engine_check_interval_s: float = 1.0
    """Pause between two checks of the engine."""
    engine_check_timeout_s: float = 10.0
    """An engine that takes longer than this to answer a check, which it does between two steps, is
    dead. Raise it for a model whose steps take seconds."""
    max_concurrent_calls: int = 256
    """Calls at once; more than the engine runs, since it is the generator that lets them wait."""
    max_queued_calls: int = 0
    """Calls that wait to be read at all."""
    max_waiting_tokens: int = AdmissionLimits.max_waiting_tokens
    """Tokens of the prompts that wait to be read; past it calls are refused at once."""
    max_wait_s: float = AdmissionLimits.max_wait_s
    """Longest wait before a prompt is read, by how fast others were; past it calls are refused."""
    max_running_bulk: int = AdmissionLimits.max_running_bulk
    """Bulk generations in the engine at once, in half of its memory at most."""
    max_waiting_bulk: int = AdmissionLimits.max_waiting_bulk
    """Bulk generations that wait for that; more are refused at once."""

    def __post_init__(self) -> None:
        """ValueError, in words for who set it, for values that can't work."""
        super().__post_init__()
        if self.backend not in BACKENDS:
            raise ValueError(f"--backend is {self.backend}, must be one of {', '.join(BACKENDS)}")
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ValueError(f"--{name.replace('_', '-')} must be at least {least}")

    def backend_options(self) -> BackendOptions:
        """What the backend needs of them."""
        return BackendOptions(
            model=self.model,
            dtype=self.dtype,
            context_tokens=self.context_tokens,
            kv_cache_gib=self.kv_cache_gib,
            cpu_threads=self.cpu_threads,
            engine_args=self.engine_args,
            start_timeout_s=self.start_timeout_s,
            logs=EngineLogs(self.log_level, self.log_format, self.engine_log_level),
        )

    def generator_options(self) -> GeneratorOptions:
        """What the core needs of them."""
        limits = AdmissionLimits(
            max_waiting_tokens=self.max_waiting_tokens,
            max_wait_s=self.max_wait_s,
            max_running_bulk=self.max_running_bulk,
            max_waiting_bulk=self.max_waiting_bulk,
        )
        return GeneratorOptions(max_output_tokens=self.max_output_tokens, limits=limits)
