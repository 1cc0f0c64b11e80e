"""All that imports vLLM, which takes seconds: import this module off the event loop."""

import gc
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vllm.config import StructuredOutputsConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMClientError
from vllm.inputs.engine import tokens_input
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.loggers import StatLoggerBase

from groundmesh.errors import Internal, InvalidArgument, MeshError, Reason, Unavailable
from groundmesh.models import ResolvedModel
from groundmesh_generator.backends import vllm_adapters
from groundmesh_generator.backends.base import (
    BackendOptions,
    EngineLoad,
    GenerationJob,
    ModelInfo,
)
from groundmesh_generator.backends.huge_pages import HugePages
from groundmesh_generator.backends.model_tokenizer import ModelTokenizer
from groundmesh_generator.backends.vllm_forms import COMPILER, FormCompiler
from groundmesh_generator.children import SLEEP_VARIABLE
from groundmesh_generator.structured import (
    Choices,
    Grammar,
    JsonSchema,
    Regex,
    StructuredOutput,
)

logger = logging.getLogger(__name__)

GIB = 1024**3

CPU_CONTEXT_TOKENS = 4096
"""Read in 2 to 8 s at the 500 to 2,000 tokens/s measured on 2 cores; a setting allows more."""
CPU_KV_CACHE_GIB = 1.0
"""46,000 tokens of the default model: eleven requests of the whole window at once."""
CPU_STEP_TOKENS = 128
"""Nothing interrupts a step: what others generate halts for it, and so does an abort, which may
take 250 ms. A prompt that is read 256 tokens at a time (0.28 s each on a busy machine) takes 10 %
longer than one read 2048 (vLLM's default) at a time; steps of 128 take half as long."""

CPU_EXTENSION = "groundmesh_generator.backends.cpu_extension.CpuExtension"
HUGE_PAGES_LIMIT_S = 15.0
"""At start; two gigabytes take one to five seconds."""

FORM_PARAMETERS = {JsonSchema: "json", Regex: "regex", Choices: "choice", Grammar: "grammar"}
"""What vLLM calls them."""


@dataclass
class LoadGauge:
    """The last counts that each of vLLM's schedulers sent with its outputs."""

    _loads: dict[int, EngineLoad] = field(default_factory=dict)

    def set(self, index: int, load: EngineLoad) -> None:
        """Note what the scheduler of that index says."""
        self._loads[index] = load

    @property
    def total(self) -> EngineLoad:
        """All schedulers together."""
        loads = self._loads.values()
        return EngineLoad(sum(load.running for load in loads), sum(load.waiting for load in loads))


@dataclass(frozen=True)
class StartedEngine:
    """vLLM with its model loaded."""

    llm: Any
    """An ``AsyncLLM``."""
    gauge: LoadGauge
    model: ModelInfo
    tokenizer: ModelTokenizer
    forms: FormCompiler
    defaults: Mapping[str, Any]
    """The model's own sampling parameters."""
    takes_adapters: bool


class _LoadLogger(StatLoggerBase):  # type: ignore[misc]  # vllm is read as Any
    """vLLM's own way to hand out what its scheduler counts, each step and each abort."""

    def __init__(self, gauge: LoadGauge, *_vllms: object) -> None:
        self._gauge = gauge

    def record(
        self,
        scheduler_stats: Any,
        iteration_stats: Any,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        """Take the counts; a step without any changes none."""
        if scheduler_stats is not None:
            waiting = scheduler_stats.num_waiting_reqs + scheduler_stats.num_skipped_waiting_reqs
            self._gauge.set(engine_idx, EngineLoad(scheduler_stats.num_running_reqs, waiting))

    def log_engine_initialized(self) -> None:
        """Nothing to say."""


def start_engine(options: BackendOptions, model: ResolvedModel) -> StartedEngine:
    """Load the model in processes of its own; blocks for most of a minute."""
    gauge = LoadGauge()
    if current_platform.is_cpu():  # a GPU's steps are short, and its host has many cores
        os.environ.setdefault(SLEEP_VARIABLE, "1")
    args = _engine_args(options, model)
    llm = AsyncLLM.from_engine_args(args, stat_loggers=[partial(_LoadLogger, gauge)])
    config, cache = llm.model_config, llm.vllm_config.cache_config
    cache_tokens = (cache.num_gpu_blocks or 0) * (cache.block_size or 0)
    window = config.max_model_len
    started = StartedEngine(
        llm=llm,
        gauge=gauge,
        model=ModelInfo(model.name, model.revision, window, model.path, cache_tokens),
        tokenizer=ModelTokenizer(llm.get_tokenizer()),
        forms=FormCompiler(llm.get_tokenizer(), vocabulary=config.get_vocab_size()),
        defaults=config.get_diff_sampling_param(),
        takes_adapters=args.enable_lora,
    )
    # The million objects that vLLM's import makes stay. Otherwise each full collection looks at
    # them all, which stops the event loop for a moment.
    gc.collect()
    gc.freeze()
    return started


async def use_huge_pages(engine: StartedEngine) -> None:
    """Where the worker can: it makes a token of a small model in 10 to 15 % less time."""
    if engine.llm.vllm_config.parallel_config.worker_extension_cls == CPU_EXTENSION:
        method = HugePages.use_huge_pages.__name__
        limit_s = HUGE_PAGES_LIMIT_S
        await engine.llm.collective_rpc(method, timeout=4 * limit_s, args=(limit_s,))


def outputs_of(engine: StartedEngine, job: GenerationJob) -> Any:
    """What vLLM makes of a job: an asynchronous generator of ``RequestOutput``."""
    return engine.llm.generate(
        tokens_input(list(job.token_ids)),
        _sampling_params(job, engine.defaults),
        job.id,
        lora_request=vllm_adapters.request_of(job.adapter),
        priority=int(job.priority),
    )


def as_mesh_error(error: Exception, engine: StartedEngine) -> MeshError:
    """What a caller is told when vLLM fails."""
    if isinstance(error, EngineDeadError) or engine.llm.errored:
        return Unavailable("the engine died", reason=Reason.ENGINE_DEAD)
    if isinstance(error, VLLMClientError):
        return InvalidArgument(f"the engine refuses the request: {error}")
    return Internal(f"the engine failed: {error.__cause__ or error}")


def _engine_args(options: BackendOptions, model: ResolvedModel) -> Any:
    on_cpu = current_platform.is_cpu()
    kv_cache_gib = options.kv_cache_gib or (CPU_KV_CACHE_GIB if on_cpu else None)
    chosen = {
        "model": model.path,
        "dtype": options.dtype,
        "max_model_len": options.context_tokens,
        "kv_cache_memory_bytes": int(kv_cache_gib * GIB) if kv_cache_gib else None,
        "max_num_batched_tokens": CPU_STEP_TOKENS if on_cpu else None,
        "enable_prefix_caching": True,
        "scheduling_policy": "priority",
        "structured_outputs_config": StructuredOutputsConfig(backend=COMPILER),
        "enforce_eager": on_cpu,  # on a CPU, compiling the model takes longer than it saves
        "disable_log_stats": True,  # its loggers; ours still gets the counts
        "use_tqdm_on_load": False,
        "worker_extension_cls": CPU_EXTENSION if on_cpu else "",
        **vllm_adapters.engine_args(options.adapters),
        **options.engine_args,
    }
    args = AsyncEngineArgs(**chosen)
    config = args.create_model_config()
    if on_cpu and args.max_model_len is None:
        args.max_model_len = min(config.max_model_len, CPU_CONTEXT_TOKENS)
    if args.enable_lora and not vllm_adapters.model_takes_adapters(config):
        logger.warning("vLLM takes no adapters for this model: requests that name one are refused")
        args.enable_lora = False
    return args


def _sampling_params(job: GenerationJob, defaults: Mapping[str, Any]) -> Any:
    """What a job sets, over what the model sets."""
    sampling = job.sampling
    chosen = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repetition_penalty": sampling.repetition_penalty,
        "seed": sampling.seed,
        "n": sampling.n,
        "logprobs": sampling.logprobs,
        "structured_outputs": _form(sampling.structured_output),
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    fixed = {"max_tokens": job.max_tokens, "stop": list(sampling.stop)}
    return SamplingParams(**{**defaults, **given, **fixed}, output_kind=RequestOutputKind.DELTA)


def _form(form: StructuredOutput | None) -> Any:
    if form is None:
        return None
    value = list(form.values) if isinstance(form, Choices) else form.text
    return StructuredOutputsParams(**{FORM_PARAMETERS[type(form)]: value})
