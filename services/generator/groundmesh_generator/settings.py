"""The generator's settings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from groundmesh.addresses import default_port
from groundmesh.models import DEFAULT_GENERATION_MODEL
from groundmesh.server.settings import ServerSettings
from groundmesh_generator.adapters.adapters import AdapterOptions
from groundmesh_generator.adapters.disk import DiskOptions
from groundmesh_generator.admission import AdmissionLimits
from groundmesh_generator.backends import BACKENDS
from groundmesh_generator.backends.base import AdapterLimits, BackendOptions, EngineLogs
from groundmesh_generator.core import GeneratorOptions

LEAST = {
    "max_output_tokens": 1,
    "context_tokens": 2,
    "kv_cache_gib": 0.01,
    "start_timeout_s": 1,
    "endpoint_timeout_s": 0.1,
    "max_loaded_adapters": 1,
    "max_adapters_in_batch": 1,
    "max_lora_rank": 1,
    "adapter_disk_gib": 0.001,
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
    """How long loading the model, or waiting for an endpoint, may take."""
    endpoint: str = ""
    """URL of an OpenAI-compatible endpoint, for --backend openai: http://127.0.0.1:8000/v1."""
    api_key: str = field(default="", repr=False)
    """The endpoint's API key; better set in the environment, or in a file."""
    api_key_file: Path | None = None
    """File that holds the endpoint's API key."""
    endpoint_timeout_s: float = 60.0
    """How long the endpoint may say nothing."""
    tokenizer: str = ""
    """Tokenizer of the endpoint's model: short name, folder or hub name; without it, nothing can
    count tokens before the endpoint does, which prompts with passages need."""
    artifact_root: str = ""
    """Where tuned adapters are kept: an fsspec URL or a folder; unset serves none."""
    max_loaded_adapters: int = 16
    """Adapters in the engine's memory; the least recently used makes room for another."""
    max_adapters_in_batch: int = 4
    """Adapters that are computed with at the same time; requests for more take turns."""
    max_lora_rank: int = 16
    """The largest rank of an adapter; memory is kept for it in each place of a batch."""
    adapter_disk_gib: float = 10.0
    """Adapters on this machine's disk, in a temporary folder."""
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
        if (self.backend == "openai") != self.endpoint.startswith(("http://", "https://")):
            raise ValueError("--backend openai and --endpoint, an http(s) URL, go together")
        if self.api_key_file is not None and not self.api_key_file.is_file():
            raise ValueError(f"--api-key-file {self.api_key_file} is no file")
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
            endpoint=self.endpoint,
            api_key=self._api_key(),
            endpoint_timeout_s=self.endpoint_timeout_s,
            tokenizer=self.tokenizer,
            adapters=self._adapter_limits() if self.artifact_root else None,
        )

    def generator_options(self) -> GeneratorOptions:
        """What the core needs of them."""
        limits = AdmissionLimits(
            max_waiting_tokens=self.max_waiting_tokens,
            max_wait_s=self.max_wait_s,
            max_running_bulk=self.max_running_bulk,
            max_waiting_bulk=self.max_waiting_bulk,
        )
        return GeneratorOptions(self.max_output_tokens, self._adapter_options(), limits)

    def _api_key(self) -> str:
        return self.api_key_file.read_text().strip() if self.api_key_file else self.api_key

    def _adapter_options(self) -> AdapterOptions | None:
        if not self.artifact_root:
            return None
        disk = DiskOptions(self.artifact_root, max_bytes=int(self.adapter_disk_gib * 1024**3))
        return AdapterOptions(disk, self._adapter_limits())

    def _adapter_limits(self) -> AdapterLimits:
        in_batch = min(self.max_adapters_in_batch, self.max_loaded_adapters)
        return AdapterLimits(self.max_loaded_adapters, in_batch, self.max_lora_rank)
