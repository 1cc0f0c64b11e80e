"""A generator without a model: it answers every prompt with the same words, at a fixed pace.

``paced_generator()`` is served with the production chassis, for tests and benchmarks of what stands
before a generator. Its counts, its tokenizer and its load agree with what it does.
"""

import asyncio
import hashlib
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from groundmesh.errors import FailedPrecondition, Reason, Unavailable, Unimplemented
from groundmesh.server.app import Service
from groundmesh_generator.adapters.adapters import AdapterOptions
from groundmesh_generator.backends.base import (
    Adapter,
    Delta,
    EngineLoad,
    Finished,
    FinishReason,
    GenerationJob,
    ModelInfo,
    Timings,
    TokenizerFile,
    TokenLogprob,
    TokenLogprobs,
)
from groundmesh_generator.core import Generator, GeneratorOptions
from groundmesh_generator.prompts import Prompt, TextPrompt
from groundmesh_generator.sampling import Sampling
from groundmesh_generator.servicer import generator_service
from groundmesh_generator.structured import field_of

MODEL = "paced"
ANSWER = "The passages say that grüne Äpfel 🍏 are sour [1] and that nothing else is known [2]. "
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }} : {{ message.content }}\n{% endfor %}"
    "assistant :"
)


class PacedBackend:
    """Says ``answer`` word by word, a word a token, and again until ``max_tokens``; a ``Backend``.

    The attributes that set the answer and the pace may be changed between two jobs.
    """

    name = "paced"
    version = "1"
    warm_ups = (TextPrompt("The quick brown fox"),)

    def __init__(
        self,
        *,
        answer: str = ANSWER,
        repeat: bool = True,
        first_token_s: float = 0.0,
        token_s: float = 0.0,
        context_tokens: int = 4096,
        max_running: int = 32,
    ) -> None:
        """Without ``repeat`` the answer ends by itself."""
        self.answer = answer
        self.repeat = repeat
        self.first_token_s = first_token_s
        self.token_s = token_s
        self.cached_tokens = 0
        """Of each prompt, as the answers say."""
        self.model: ModelInfo | None = None
        self.tokenizer = _tokenizer_file()
        self.jobs: list[GenerationJob] = []
        """All that ever came."""
        self._context_tokens = context_tokens
        self._slots = asyncio.Semaphore(max_running)
        self._running = self._waiting = 0
        self._death = asyncio.Event()
        self.takes_adapters = True
        self.adapters: list[Adapter] = []
        """Those that are loaded now."""
        self.load_s = 0.0
        """How long loading one takes."""
        self.refuses: set[str] = set()
        """Names of adapters that it can't load."""

    @property
    def load(self) -> EngineLoad:
        """The jobs that are in ``generate`` now."""
        return EngineLoad(self._running, self._waiting)

    async def start(self) -> None:
        """Nothing is loaded."""
        self.model = ModelInfo(MODEL, "0", self._context_tokens)

    async def check(self) -> None:
        """Alive until ``die``."""
        if self._death.is_set():
            raise _dead()

    async def stop(self) -> None:
        """Nothing is held."""
        self.model = None

    def die(self) -> None:
        """From now on it is as an engine whose process was killed."""
        self._death.set()

    async def encode(self, prompt: Prompt, *, field: str) -> Sequence[int]:
        """A token for each word."""
        return [0] * len(_rendered(prompt).split())

    async def accept(self, sampling: Sampling, *, field: str) -> None:
        """All but a form of the answer, which is what it is."""
        if (form := sampling.structured_output) is not None:
            raise Unimplemented.of_field(field_of(form, sampling=field), "the words are fixed")

    async def load_adapter(self, adapter: Adapter) -> None:
        """Takes its time, and refuses what it was told to."""
        await asyncio.sleep(self.load_s)
        if adapter.name in self.refuses:
            raise FailedPrecondition("can't", reason=Reason.ADAPTER_UNUSABLE)
        self.adapters.append(adapter)

    async def unload_adapter(self, adapter: Adapter) -> None:
        """It must be loaded."""
        self.adapters.remove(adapter)

    async def generate(self, job: GenerationJob) -> AsyncGenerator[Delta | Finished, None]:
        """See ``Backend.generate``. Several answers take turns, each step a token of each."""
        self.jobs.append(job)
        assert job.adapter is None or job.adapter in self.adapters, "it is not loaded"
        words, reason = _script(self._words(), job)
        async with self._slot():
            scheduled_at = time.monotonic()
            first_at = scheduled_at + self.first_token_s
            for index, word in enumerate(words):
                # By the clock, not from the last token, so that the pace does not drift.
                await self._sleep_until(first_at + index * self.token_s)
                for answer in range(job.sampling.answers if word else 0):
                    yield Delta(word, 1, answer, _logprobs(word, job))
            timings = Timings(
                queue_s=scheduled_at - job.received_at,
                prefill_s=self.first_token_s,
                decode_s=max(0.0, time.monotonic() - first_at),
            )
            answers = job.sampling.answers
            yield Finished(
                (reason,) * answers,
                len(job.token_ids),
                len(words) * answers,
                self.cached_tokens,
                timings=timings,
            )

    def _words(self) -> Iterator[str]:
        words = [f"{word} " for word in self.answer.split()]
        return itertools.cycle(words) if self.repeat else iter(words)

    async def _sleep_until(self, moment: float) -> None:
        """Sleep as a real engine works: until the moment, or until it dies."""
        left = moment - time.monotonic()
        try:
            await asyncio.wait_for(self._death.wait(), max(0.0, left))
        except TimeoutError:
            return
        raise _dead()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._slots.release()


def paced_generator(
    backend: PacedBackend | None = None,
    *,
    max_output_tokens: int = 1024,
    adapters: AdapterOptions | None = None,
) -> Service:
    """A generator service around a paced backend."""
    options = GeneratorOptions(max_output_tokens, adapters)
    return generator_service(Generator(backend or PacedBackend(), options))


def _rendered(prompt: Prompt) -> str:
    if isinstance(prompt, TextPrompt):
        return prompt.text
    lines = [f"{message.role} : {message.content}\n" for message in prompt.messages]
    return "".join(lines) + "assistant :"


def _script(words: Iterator[str], job: GenerationJob) -> tuple[list[str], FinishReason]:
    """What each token adds to the answer, which ends before the first of its stop texts."""
    said = list(itertools.islice(words, job.max_tokens))
    text = "".join(said)
    end = min((at for stop in job.sampling.stop if (at := text.find(stop)) >= 0), default=None)
    if end is None:
        is_cut = len(said) == job.max_tokens
        return said, FinishReason.LENGTH if is_cut else FinishReason.STOP
    kept: list[str] = []
    for word in said:
        left = end - sum(map(len, kept))
        if left <= 0:
            break
        kept.append(word[:left])
    return kept, FinishReason.STOP


def _logprobs(word: str, job: GenerationJob) -> tuple[TokenLogprobs, ...]:
    if job.sampling.logprobs is None:
        return ()
    certain = TokenLogprob(word, 0, 0.0)
    return (TokenLogprobs(certain, (certain,) * min(1, job.sampling.logprobs)),)


def _tokenizer_file() -> TokenizerFile:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    content = tokenizer.to_str().encode()
    return TokenizerFile(content, hashlib.sha256(content).hexdigest(), CHAT_TEMPLATE)


def _dead() -> Unavailable:
    return Unavailable("the engine died", reason=Reason.ENGINE_DEAD)
