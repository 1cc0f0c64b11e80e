"""Adapters in vLLM; imports it, so import this off the event loop."""

from typing import Any

from vllm.lora.request import LoRARequest
from vllm.model_executor.models import supports_lora
from vllm.model_executor.models.registry import ModelRegistry
from vllm.platforms import current_platform

from groundmesh.errors import FailedPrecondition, Reason
from groundmesh_generator.backends.base import Adapter, AdapterLimits

CPU_WORKER = "groundmesh_generator.backends.cpu_lora.AdapterWorker"

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Of which vLLM keeps room for one."""


def engine_args(limits: AdapterLimits | None) -> dict[str, Any]:
    """What makes vLLM keep room for adapters."""
    if limits is None:
        return {}
    rank = next((rank for rank in _RANKS if rank >= limits.max_rank), None)
    if rank is None:
        raise FailedPrecondition(f"vLLM takes adapters up to rank {_RANKS[-1]}")
    args: dict[str, Any] = {
        "enable_lora": True,
        "max_loras": limits.max_in_batch,
        "max_cpu_loras": limits.max_loaded,
        "max_lora_rank": rank,
    }
    return {**args, "worker_cls": CPU_WORKER} if current_platform.is_cpu() else args


def model_takes_adapters(config: Any) -> bool:
    """Whether vLLM has built adapters into the model of a ``ModelConfig``."""
    model, _ = ModelRegistry.resolve_model_cls(config.architectures, config)
    return bool(supports_lora(model))


def request_of(adapter: Adapter | None) -> Any:
    """What vLLM is told of an adapter with each call."""
    return adapter and LoRARequest(adapter.name, adapter.number, adapter.folder)


async def load(llm: Any, adapter: Adapter) -> None:
    """Load it beside what runs; what vLLM refuses is forgotten again."""
    try:
        is_loaded = await llm.add_lora(request_of(adapter))
    except Exception as error:
        if llm.errored:
            raise
        await llm.remove_lora(adapter.number)  # refused half-way, it would count as loaded
        raise FailedPrecondition(
            f"the engine refuses the adapter: {error}", reason=Reason.ADAPTER_UNUSABLE
        ) from error
    if not is_loaded:
        raise FailedPrecondition("the engine refuses the adapter", reason=Reason.ADAPTER_UNUSABLE)
