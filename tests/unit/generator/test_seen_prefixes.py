"""What an engine must compute at the very least."""

from hypothesis import given
from hypothesis import strategies as st

from groundmesh_generator.seen_prefixes import BLOCK_TOKENS, SeenPrefixes

# Prompts of few distinct parts, so that beginnings are shared.
PROMPTS = st.lists(
    st.lists(st.integers(0, 2), max_size=6).map(
        lambda parts: [part for part in parts for _ in range(100)]
    ),
    min_size=1,
    max_size=8,
)


def shared(left: list[int], right: list[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(left), len(right)))


@given(PROMPTS)
def test_no_cache_could_have_more(prompts: list[list[int]]) -> None:
    seen = SeenPrefixes()
    before: list[list[int]] = []
    for prompt in prompts:
        unread = seen.least_unread(prompt)
        # The last token is always computed.
        cached = max((min(shared(prompt, other), len(prompt) - 1) for other in before), default=0)
        assert 1 <= unread <= max(1, len(prompt) - cached)
        seen.remember(prompt)
        before.append(prompt)


def test_what_never_came_is_to_be_read_and_what_came_is_not() -> None:
    seen, prompt = SeenPrefixes(), list(range(3000))
    assert seen.least_unread(prompt) >= 3000 - BLOCK_TOKENS
    assert seen.least_unread(prompt) >= 3000 - BLOCK_TOKENS, "asking changes nothing"
    seen.remember(prompt)
    assert seen.least_unread(prompt) == 1
    assert seen.least_unread([*prompt[:1500], *prompt[:1500]]) >= 1500 - BLOCK_TOKENS


def test_what_is_long_gone_is_forgotten() -> None:
    seen = SeenPrefixes(kept_blocks=10)
    prompt = list(range(5 * BLOCK_TOKENS))
    seen.remember(prompt)
    assert seen.least_unread(prompt) == 1
    seen.remember([-token - 1 for token in range(10 * BLOCK_TOKENS)])
    assert seen.least_unread(prompt) == 4 * BLOCK_TOKENS
