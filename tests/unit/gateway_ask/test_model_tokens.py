"""The tokenizers of the models that answer: fetched once, and again when the model is another."""

import asyncio
from collections.abc import Sequence

import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from groundmesh.errors import Unavailable
from groundmesh.prompting import ChatTokens, Message
from groundmesh.prompting.looks import Look
from groundmesh_gateway.model_tokens import ModelFacts, ModelTokensCache


def tokenizer_json() -> bytes:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken("<turn>")])
    tokenizer.enable_truncation(4)
    return tokenizer.to_str().encode()


class FakeSource:
    """A generator whose model and health a test sets."""

    def __init__(self) -> None:
        self.served = ModelFacts("m", "r1", window=2048, max_answer=512)
        self.away = False
        self.fetches = 0
        self.checks = 0

    async def facts(self, model: str) -> ModelFacts:
        self.checks += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away")
        return self.served

    async def tokenizer_json(self, model: str) -> bytes:
        self.fetches += 1
        await asyncio.sleep(0)
        return tokenizer_json()

    async def count(self, model: str, prompts: Sequence[Sequence[Message]]) -> Sequence[int]:
        return [7 + sum(len(each.content.split()) + 3 for each in prompt) for prompt in prompts]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(source: FakeSource, clock: Clock) -> ModelTokensCache:
    return ModelTokensCache(source, recheck_s=10, clock=clock)


async def test_many_questions_fetch_once(cache: ModelTokensCache, source: FakeSource) -> None:
    await asyncio.gather(*(cache.get("") for _ in range(50)))
    assert (source.fetches, source.checks) == (1, 1)


async def test_it_counts_whole_texts_and_knows_the_template(cache: ModelTokensCache) -> None:
    tokens = await cache.get("")
    assert tokens.count("one two three four five six") == 6
    assert tokens.chat == ChatTokens(7, 3)
    assert tokens.reserved.broken(Look("a <turn>")).original == "a < turn>"
    assert (tokens.model, tokens.window, tokens.max_answer) == ("m", 2048, 512)


async def test_the_same_model_is_not_fetched_again(
    cache: ModelTokensCache, source: FakeSource, clock: Clock
) -> None:
    first = await cache.get("")
    clock.now = 11
    assert await cache.get("") is first
    assert (source.fetches, source.checks) == (1, 2)


async def test_another_model_is_noticed_in_time(
    cache: ModelTokensCache, source: FakeSource, clock: Clock
) -> None:
    await cache.get("")
    source.served = ModelFacts("m", "r2", window=1024, max_answer=512)
    assert (await cache.get("")).window == 2048
    clock.now = 11
    assert (await cache.get("")).window == 1024


async def test_another_model_is_noticed_at_once_after_trouble(
    cache: ModelTokensCache, source: FakeSource
) -> None:
    await cache.get("")
    source.served = ModelFacts("n", "r1", window=1024, max_answer=512)
    cache.recheck()
    assert (await cache.get("")).model == "n"


async def test_a_generator_that_is_away_fails_only_while_it_is(
    cache: ModelTokensCache, source: FakeSource
) -> None:
    source.away = True
    with pytest.raises(Unavailable):
        await cache.get("")
    source.away = False
    assert (await cache.get("")).model == "m"


async def test_those_who_wait_for_a_generator_that_is_away_fail_together(
    cache: ModelTokensCache, source: FakeSource
) -> None:
    source.away = True
    failed = await asyncio.gather(*(cache.get("") for _ in range(50)), return_exceptions=True)
    assert all(isinstance(each, Unavailable) for each in failed)
    assert source.checks == 1


async def test_who_leaves_while_fetching_leaves_the_others_alone(
    cache: ModelTokensCache, source: FakeSource
) -> None:
    first = asyncio.create_task(cache.get(""))
    second = asyncio.create_task(cache.get(""))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).model == "m"
