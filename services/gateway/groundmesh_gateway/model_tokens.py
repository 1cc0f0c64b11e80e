"""What the gateway knows of the models that answer: fetched once, kept while they stay the same."""

import asyncio
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from tokenizers import Tokenizer

from groundmesh.prompting import ChatTokens, Message, Reserved, Role, TokenCounter
from groundmesh.shared_fetch import SharedFetch
from groundmesh_gateway.ask_ports import ModelTokens

_ANYTHING = "?"
_SHORT = [Message(role, _ANYTHING) for role in (Role.SYSTEM, Role.USER)]
_LONG = [*_SHORT, *(Message(role, _ANYTHING) for role in (Role.ASSISTANT, Role.USER))]
_REMEMBERED_TEXTS = 2_048
_REMEMBERED_LENGTH = 4_096
"""Characters; in all 8 MB or, in the widest scripts, 32 MB a model at most."""
_FETCH_LIMIT_S = 30.0
"""For three short calls and a file of up to 30 MB."""


@dataclass(frozen=True)
class ModelFacts:
    """A model as its generator serves it now; while this stays the same, its tokenizer does."""

    model: str
    revision: str
    window: int
    max_answer: int


class TokenizerSource(Protocol):
    """A generator, as far as tokens go."""

    async def facts(self, model: str) -> ModelFacts:
        """The model of that name, the default one for an empty name."""
        ...

    async def tokenizer_json(self, model: str) -> bytes:
        """Its tokenizer."""
        ...

    async def count(self, model: str, prompts: Sequence[Sequence[Message]]) -> Sequence[int]:
        """The tokens of each of some conversations in its chat template."""
        ...


class ModelTokensCache:
    """Keeps tokenizers; asks every so often whether the generator still serves the same model."""

    def __init__(
        self,
        source: TokenizerSource,
        *,
        recheck_s: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is fetched before the first question."""
        self._source = source
        self._recheck_s = recheck_s
        self._clock = clock
        self._known: dict[str, tuple[ModelFacts, ModelTokens]] = {}  # served names only: few
        self._checked_at: dict[str, float] = {}
        self._refreshing = SharedFetch(self._refresh, limit_s=_FETCH_LIMIT_S)

    async def get(self, model: str) -> ModelTokens:
        """What is known of a model; concurrent questions fetch it once, and fail together."""
        if self._is_fresh(model):
            return self._known[model][1]
        return await self._refreshing.get(model)

    def recheck(self) -> None:
        """Something happened to the generator: believe nothing before it is asked again."""
        self._checked_at.clear()

    async def close(self) -> None:
        """End what is being fetched."""
        await self._refreshing.close()

    def _is_fresh(self, model: str) -> bool:
        checked_at = self._checked_at.get(model)
        return checked_at is not None and self._clock() < checked_at + self._recheck_s

    async def _refresh(self, model: str) -> ModelTokens:
        facts = await self._source.facts(model)
        known = self._known.get(model)
        if known is None or known[0] != facts:
            known = self._known[model] = (facts, await self._fetch(facts))
        self._checked_at[model] = self._clock()
        return known[1]

    async def _fetch(self, facts: ModelFacts) -> ModelTokens:
        content = await self._source.tokenizer_json(facts.model)
        # In a thread, though the library (0.23) holds the interpreter while it reads: 0.1 s for
        # 3.4 MB, once a model.
        tokenizer = await asyncio.to_thread(_load, content)

        count = _counter(tokenizer)
        return ModelTokens(
            model=facts.model,
            window=facts.window,
            max_answer=facts.max_answer,
            chat=await self._chat_tokens(facts.model, said=count(_ANYTHING)),
            count=count,
            at_most=token_bound(tokenizer),
            reserved=Reserved(_special_tokens(tokenizer)),
        )

    async def _chat_tokens(self, model: str, *, said: int) -> ChatTokens:
        """What is around messages, from two conversations of messages of ``said`` tokens."""
        short, long = await self._source.count(model, (_SHORT, _LONG))
        per_message = max(0, math.ceil((long - short) / 2) - said)
        return ChatTokens(max(0, short - 2 * (per_message + said)), per_message)


def _load(content: bytes) -> Tokenizer:
    tokenizer = Tokenizer.from_str(content.decode())
    # Such files often say at which length to cut off or to fill up; counts must not.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _counter(tokenizer: Tokenizer) -> TokenCounter:
    """Counts tokens, and remembers what comes again: constant messages, passages often found."""

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    remembered = lru_cache(_REMEMBERED_TEXTS)(count)
    return lambda text: (remembered if len(text) <= _REMEMBERED_LENGTH else count)(text)


def token_bound(tokenizer: Tokenizer) -> TokenCounter | None:
    """A bound of the tokens of a text that costs nothing; None where there is none.

    A byte-level tokenizer reads the text as it is, and each of its tokens holds a byte at least.
    """
    if tokenizer.normalizer is not None or tokenizer.pre_tokenizer is None:
        return None
    split = json.loads(tokenizer.pre_tokenizer.__getstate__())
    parts = split["pretokenizers"] if split["type"] == "Sequence" else [split]
    if "ByteLevel" not in (part["type"] for part in parts):
        return None
    spaces = sum(bool(part.get("add_prefix_space")) for part in parts)
    return lambda text: len(text.encode()) + spaces


def _special_tokens(tokenizer: Tokenizer) -> list[str]:
    added = tokenizer.get_added_tokens_decoder().values()
    return [token.content for token in added if token.special]
